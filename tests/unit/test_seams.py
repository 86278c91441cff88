"""Guest and timer stand behind their seams: nobody else names the firmware or a mode."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.guest.timer_mode import TimerMode

PACKAGE = Path(__file__).parents[2] / "orchestrator"

#: Folders that may import the tick firmware. `testing` stands in for it.
FIRMWARE = {"guest", "testing"}

#: Folders that may say what holds for one timer mode alone.
MODES = {"guest", "timers", "bugs", "testing"}

#: The mode's name in code: a member of the enum, or a constant named after one.
MODE = re.compile("|".join(mode.name for mode in TimerMode))


def modules(allowed: set[str]) -> list[Path]:
    """Return the package's modules outside of some folders."""
    return [
        path
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in allowed
    ]


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def compared(tree: ast.AST) -> Iterator[object]:
    """Yield the constants that are compared with something, or matched against."""
    for node in ast.walk(tree):
        parts: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            parts = [node.value]
        for part in parts:
            yield from (each.value for each in ast.walk(part) if isinstance(each, ast.Constant))


def against_the_seams(source: str, folder: str) -> list[str]:
    """Return what a module in some folder does that only others may do."""
    tree = ast.parse(source)
    found = []
    if folder not in FIRMWARE:
        names = imported(tree)
        found += [name for name in names if re.match(r"orchestrator\.guest\.tick\b", name)]
    if folder not in MODES:
        found += MODE.findall(source)
        found += [str(value) for value in compared(tree) if value in set(TimerMode)]
    return found


def test_nobody_reaches_around_a_seam() -> None:
    paths = modules(FIRMWARE & MODES)
    assert len(paths) > 400
    found = {
        str(path.relative_to(PACKAGE)): wrong
        for path in paths
        if (wrong := against_the_seams(path.read_text(), path.relative_to(PACKAGE).parts[0]))
    }
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "from orchestrator.guest.tick.image import firmware",
        "import orchestrator.guest.tick.lines",
        "from orchestrator.guest import tick",
        "from orchestrator.guest.timer_mode import TimerMode\nif mode is TimerMode.PERIODIC: ...",
        "if cell.mode == 'one-shot': ...",
        "if cell.mode in ('periodic', 'tsc-deadline'): ...",
        "match mode:\n    case 'periodic': ...",
    ],
)
def test_whoever_does_is_found(source: str) -> None:
    assert against_the_seams(source, "campaign")
