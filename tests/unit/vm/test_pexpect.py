"""The console uses nothing of pexpect but its public API, which later versions keep."""

import ast
from collections.abc import Iterator
from pathlib import Path

import orchestrator

PACKAGE = Path(orchestrator.__file__).parent

#: What pexpect documents, and what a fdspawn has without an underscore.
MODULES = {"pexpect", "pexpect.fdpexpect"}


def private_uses(source: str) -> Iterator[str]:
    """Yield imports from pexpect's inner modules, and private attributes of a spawn."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pexpect"):
            private = [alias.name for alias in node.names if alias.name.startswith("_")]
            yield from private or ([str(node.module)] if node.module not in MODULES else [])
        elif isinstance(node, ast.Attribute) and node.attr.startswith(("_", "async_pw")):
            yield from [node.attr] if ast.unparse(node.value).endswith("spawn") else []


def test_no_private_name_is_used() -> None:
    used = {
        path.name: found
        for path in PACKAGE.rglob("*.py")
        if (found := list(private_uses(path.read_text())))
    }
    assert used == {}


def test_a_private_name_would_be_found() -> None:
    assert list(private_uses("from pexpect._async import PatternWaiter")) == ["pexpect._async"]
    assert list(private_uses("from pexpect.spawnbase import SpawnBase")) == ["pexpect.spawnbase"]
    assert list(private_uses("self._spawn._buffer.tell()")) == ["_buffer"]
    assert list(private_uses("spawn.async_pw_transport[0]")) == ["async_pw_transport"]
    assert list(private_uses("self._spawn.expect_list(patterns)")) == []
