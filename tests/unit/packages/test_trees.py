from pathlib import Path

import pytest

from orchestrator.packages.apt import PackagesError
from orchestrator.packages.trees import Unpacked, unpack


@pytest.mark.parametrize("suite", ["", "..", "a/b", "a,", "a b", "deb [trusted=yes]"])
def test_a_suite_is_a_name(cache: Path, suite: str) -> None:
    with pytest.raises(PackagesError, match="is no name of a suite"):
        unpack(suite, ["x"], cache)


def test_a_cache_behind_a_link_has_its_dynamic_loader(tmp_path: Path) -> None:
    """`~/.cache` is often a link to another disk."""
    folder = tmp_path / "disk" / "tree" / "lib" / "x86_64-linux-gnu"
    folder.mkdir(parents=True)
    (folder / "ld-2.36.so").touch()
    (folder / "ld-linux-x86-64.so.2").symlink_to("/lib/x86_64-linux-gnu/ld-2.36.so")
    (tmp_path / "cache").symlink_to("disk")
    root = tmp_path / "cache" / "tree"
    program, command = Unpacked(root).command("usr/bin/tool")
    assert program == str(root / "usr/bin/tool")
    assert command[0] == str(root / "lib/x86_64-linux-gnu/ld-2.36.so")
