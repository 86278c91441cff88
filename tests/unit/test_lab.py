import gzip
from pathlib import Path

import pytest

from orchestrator.lab.bochs import ALIGNMENT, BochsBuildError, relax_alignment
from orchestrator.lab.kernels import KernelNameError, kernel
from orchestrator.lab.media import _cpio


def test_a_cpio_archive() -> None:
    archive = _cpio([("bin", 0o040755, b""), ("bin/x", 0o100755, b"12345"), ("y", 0o100644, b"")])
    assert len(archive) % 4 == 0
    assert gzip.decompress(gzip.compress(archive)) == archive
    assert archive.startswith(b"070701" + b"00000001" + b"000041ed")
    assert archive.count(b"070701") == 4  # and the trailer


def test_the_check_on_alignment_is_found_or_refused(tmp_path: Path) -> None:
    source = tmp_path / "vmx.cc"
    source.write_text(f"a\n  {ALIGNMENT[0]}\nb\n")
    relax_alignment(source)
    assert source.read_text() == f"a\n  {ALIGNMENT[1]}\nb\n"
    with pytest.raises(BochsBuildError, match=r"vmx.cc has 0 such checks, not 1"):
        relax_alignment(source)


@pytest.mark.parametrize("name", ["bookworm", "debian:", "debian:6.1; rm", "deb:x.deb"])
def test_kernels_are_named_by_suite(name: str) -> None:
    with pytest.raises(KernelNameError, match="name it as debian:SUITE"):
        kernel(name)
