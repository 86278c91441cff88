import gzip
from pathlib import Path

import pytest

from orchestrator.errors import UnfitError
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.emulator.build import EDITS, BochsBuildError, SourceEdit
from orchestrator.lab.emulator.media import _cpio
from orchestrator.lab.kernel.kernel import KernelNameError
from orchestrator.lab.kernel.names import kernel


def test_a_cpio_archive() -> None:
    archive = _cpio([("bin", 0o040755, b""), ("bin/x", 0o100755, b"12345"), ("y", 0o100644, b"")])
    assert len(archive) % 4 == 0
    assert gzip.decompress(gzip.compress(archive)) == archive
    assert archive.startswith(b"070701" + b"00000001" + b"000041ed")
    assert archive.count(b"070701") == 4  # and the trailer


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_of_bochs_finds_its_place_or_refuses(edit: SourceEdit, tmp_path: Path) -> None:
    source = tmp_path / edit.file
    source.parent.mkdir()
    source.write_text(f"a\n{edit.old}b\n")
    edit.apply(tmp_path)
    assert source.read_text() == f"a\n{edit.new}b\n"
    source.write_text(f"{edit.old}{edit.old}")
    with pytest.raises(BochsBuildError, match=rf"{edit.file} has 2 such places, not 1"):
        edit.apply(tmp_path)


@pytest.mark.parametrize("name", ["bookworm", "debian:", "debian:6.1; rm", "deb:x.deb"])
def test_kernels_are_named_by_suite(name: str) -> None:
    with pytest.raises(KernelNameError, match="name it as debian:SUITE"):
        kernel(name)


def test_an_unedited_bochs_refuses_kernels_that_show_its_own_bug() -> None:
    ours = Bochs(("bochs",), Path("bios"), Path("vga"), "Debian's own Bochs", unedited=True)
    ours.check_fit_for("6.1.0-49-cloud-amd64")
    with pytest.raises(UnfitError, match=r"as 5\.10\.0-32 is\. Install a compiler"):
        ours.check_fit_for("5.10.0-32")
