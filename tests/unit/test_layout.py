"""The order of the folders: an import may only lead to a folder above, never below."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.places import PACKAGE

#: Folders and top modules, the most basic first. A module may import from its own folder
#: and from those before it.
ORDER = (
    "errors", "registry", "version", "clock", "stats", "process", "cache", "packages", "qmp",
    "host", "guest", "findings", "timers", "vm", "snapshot", "plan", "trial", "bugs", "look",
    "journal", "verdict", "campaign", "results", "attached", "direct", "lab", "android", "doctor",
    "bisect", "fleet", "testing", "pytest_plugin", "cli", "__init__", "__main__",
)  # fmt: skip

LINES = 350


def place(path: Path) -> str:
    """Return the folder of a module, or its own name at the top."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and folder of each import of the package itself, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: the order does not see where this leads"
            assert node.module is not None
            below = node.module == "orchestrator"
            names = [f"{node.module}.{a.name}" if below else node.module for a in node.names]
        for name in names:
            if name.split(".")[0] == "orchestrator":
                yield node.lineno, _folder(name)


def _folder(module: str) -> str:
    below = module.split(".")[1:2]
    return below[0] if below and below[0] in ORDER else "__init__"


def test_no_import_runs_up() -> None:
    against = [
        f"{path.relative_to(PACKAGE)}:{line} imports {to}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for line, to in imports(path)
        if ORDER.index(to) > ORDER.index(place(path))
    ]
    assert not against, "\n".join(against)


def test_every_folder_has_its_place() -> None:
    folders = {place(path) for path in PACKAGE.rglob("*.py")}
    assert folders <= set(ORDER)


def test_modules_are_small() -> None:
    long = {
        str(path.relative_to(PACKAGE)): lines
        for path in PACKAGE.rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > LINES
    }
    assert not long
