"""A lab run that would fail only after minutes is refused at once."""

from pathlib import Path

import pytest

from orchestrator.lab import ready as module
from orchestrator.lab.kernel.kernel import KernelNameError, NoKernelSourceError
from orchestrator.lab.kernel.variants import Variant
from orchestrator.lab.ready import CachePathError, check_ready
from orchestrator.process.toolchain import NoToolsError
from tests.support.trees import tree


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cold cache, on a computer with no tool at all."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "cache"


def test_no_compiler_is_noticed_first(empty: Path, tmp_path: Path) -> None:
    kernels = [f"tree:{tree(tmp_path / 'linux')}"]
    with pytest.raises(NoToolsError, match=r"making a lab: not installed: gcc, libc\.a, g\+\+"):
        check_ready(kernels, [], empty)
    assert not empty.exists()


@pytest.mark.parametrize("odd", [" ", "\n", ",", ":", "'", '"', "$", "#", "\\", "\udcff"])
def test_a_cache_in_which_tools_cannot_work_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    monkeypatch.setattr(module, "_programs_are_built", lambda cache: True)
    with pytest.raises(CachePathError, match="make and Bochs can't work in a path with") as caught:
        check_ready([], [], tmp_path / f"a{odd}b")
    assert repr(odd) in str(caught.value)
    (usable := tmp_path / "a=b@c~d%e+ä" / "builds").mkdir(parents=True)
    check_ready([], [], usable.parent)


def test_with_everything_built_no_tool_is_needed(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_programs_are_built", lambda cache: True)
    kernels = [f"tree:{tree(tmp_path / 'linux')}"]
    check_ready(kernels, [Variant.UNTOUCHED], empty)
    with pytest.raises(NoToolsError):
        check_ready(["debian:bookworm"], [Variant.REVERT_FIX], empty)
    with pytest.raises(NoToolsError):
        check_ready([], [], empty)
    (empty / "builds").mkdir(parents=True)
    check_ready([], [], empty)


def test_edits_of_a_tree_are_refused_before_anything_is_built(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_programs_are_built", lambda cache: True)
    (empty / "builds").mkdir(parents=True)
    kernels = [f"tree:{tree(tmp_path / 'linux')}"]
    check_ready(kernels, [Variant.UNTOUCHED], empty)
    with pytest.raises(NoKernelSourceError, match="only kernels of packages are edited"):
        check_ready(kernels, [Variant.UNTOUCHED, Variant.REVERT_FIX], empty)


def test_one_label_for_two_kernels_is_refused_before_anything_is_built(empty: Path) -> None:
    with pytest.raises(KernelNameError, match=r"its label x is that of debian:bookworm already"):
        check_ready(["x=debian:bookworm", "y=debian:sid", "x=debian:trixie"], [], empty)
    assert not empty.exists()


@pytest.mark.parametrize("bad", ["bookworm", "tree:/nowhere", "deb:/nowhere.deb"])
def test_each_name_is_looked_at_before_any_kernel_is_fetched(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    monkeypatch.setattr(module, "_programs_are_built", lambda cache: True)
    with pytest.raises(KernelNameError, match=bad):
        check_ready([f"tree:{tree(tmp_path / 'linux')}", bad], [], empty)
    assert not empty.exists()
