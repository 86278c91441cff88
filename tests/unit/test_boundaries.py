"""The rules of the layout, checked in the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.places import PACKAGE

#: Modules that work through the host protocol must not import these.
FORBIDDEN = {"time", "os", "signal", "subprocess", "socket", "threading", "datetime"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("folder", ["trial", "campaign", "snapshot"])
def test_the_trial_knows_its_host_by_the_protocol_alone(folder: str) -> None:
    for path in (PACKAGE / folder).glob("*.py"):
        found = set(imports(path))
        # watch.py names signals by number; it sends none.
        allowed = {"signal"} if path.name == "watch.py" else set()
        assert not found & (FORBIDDEN - allowed), path
        assert not any(name.startswith("orchestrator.host.local") for name in found), path
        assert "/proc" not in path.read_text(), path


#: Folders whose modules read what the kernel shows. Names in it may have any bytes.
OF_THIS_COMPUTER = ("process", "host", "look", "attached", "direct", "doctor", "android")


def strict(tree: ast.AST) -> Iterator[int]:
    """Yield the lines where text is read that must be UTF-8, or an error comes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            given = {keyword.arg for keyword in node.keywords}
            reads = isinstance(node.func, ast.Attribute) and node.func.attr == "read_text"
            passed = [each for each in node.args if isinstance(each, ast.Attribute)]
            reads |= any(each.attr == "read_text" for each in passed)
            if (reads or given & {"text", "universal_newlines"}) and "errors" not in given:
                yield node.lineno


@pytest.mark.parametrize("folder", OF_THIS_COMPUTER)
def test_what_the_kernel_or_a_program_says_may_have_any_bytes(folder: str) -> None:
    """Else one user's mount point or thread would stop losttick for everybody."""
    found = {
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in (PACKAGE / folder).rglob("*.py")
        for line in strict(ast.parse(path.read_text()))
    }
    assert not found


@pytest.mark.parametrize(
    "source",
    ["p.read_text()", "to_thread(p.read_text)", "run(a, text=True)", "p.read_text(encoding='utf')"],
)
def test_a_strict_read_is_found(source: str) -> None:
    assert list(strict(ast.parse(source))) == [1]
