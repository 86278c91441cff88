import gzip

from orchestrator.lab.emulator.media import _cpio


def test_a_cpio_archive() -> None:
    archive = _cpio([("bin", 0o040755, b""), ("bin/x", 0o100755, b"12345"), ("y", 0o100644, b"")])
    assert len(archive) % 4 == 0
    assert gzip.decompress(gzip.compress(archive)) == archive
    assert archive.startswith(b"070701" + b"00000001" + b"000041ed")
    assert archive.count(b"070701") == 4  # and the trailer
