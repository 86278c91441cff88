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
