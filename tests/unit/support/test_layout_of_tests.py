"""Tests share code by tests/support alone, and name what they need when they skip."""

import ast
from pathlib import Path

import pytest

from tests.support.places import ROOT

TESTS = ROOT / "tests"

#: Ways to skip that name no need.
FORBIDDEN = ("pytest.skip", "pytest.importorskip", "pytest.mark.skip", "pytest.mark.skipif")
LAST_WORDS = {each.rpartition(".")[2] for each in FORBIDDEN}


@pytest.fixture(scope="module")
def modules() -> list[tuple[str, ast.Module]]:
    paths = sorted(TESTS.rglob("*.py"))
    return [(str(path.relative_to(TESTS)), ast.parse(path.read_text())) for path in paths]


def imported(tree: ast.Module) -> set[str]:
    """Return the modules of tests that a module imports."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] == "tests"}


def test_only_support_is_imported(modules: list[tuple[str, ast.Module]]) -> None:
    wrong = [
        f"{path} imports {name}"
        for path, tree in modules
        for name in sorted(imported(tree))
        if not name.startswith("tests.support")
    ]
    assert not wrong, "\n".join(wrong)


def test_every_skip_names_a_need(modules: list[tuple[str, ast.Module]]) -> None:
    """`pytest.skip` and its marks would pass the gate of tests/support/needs.py unseen."""
    wrong = [
        f"{path}:{node.lineno}"
        for path, tree in modules
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LAST_WORDS  # to unparse every call takes long
        and ast.unparse(node.func) in FORBIDDEN
    ]
    assert not wrong, "\n".join(wrong)


def test_unit_tests_mirror_the_package() -> None:
    folders = {path.parent for path in (TESTS / "unit").rglob("test_*.py")}
    own = {Path(), Path("support")}
    inside = {folder.relative_to(TESTS / "unit") for folder in folders} - own
    assert inside <= {
        path.relative_to(ROOT / "orchestrator") for path in (ROOT / "orchestrator").rglob("*")
    }
