"""A lab's initial RAM disk is read back by the format's own rules."""

from collections.abc import Iterator

from orchestrator.lab.emulator.media import _cpio


def entries(archive: bytes) -> Iterator[tuple[str, int, int, bytes]]:
    """Read name, mode, inode and content of each entry (Linux: initramfs-buffer-format)."""
    at = 0
    while at < len(archive):
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + n : at + n + 8], 16) for n in range(6, 110, 8)]
        inode, mode, size, name_size = fields[0], fields[1], fields[6], fields[11]
        name = archive[at + 110 : at + 110 + name_size]
        content_at = at + 110 + name_size + -(110 + name_size) % 4
        assert name.endswith(b"\0")
        yield name[:-1].decode(), mode, inode, archive[content_at : content_at + size]
        at = content_at + size + -size % 4


def test_a_cpio_archive() -> None:
    files = [
        ("bin", 0o040755, b""),
        ("bin/x", 0o100755, b"12345"),
        ("four", 0o100644, b"1234"),
        ("y", 0o100644, b""),
    ]
    archive = _cpio(files)
    found = list(entries(archive))
    assert [(name, mode, content) for name, mode, _, content in found[:-1]] == files
    assert found[-1][0] == "TRAILER!!!"
    inodes = [inode for _, _, inode, _ in found]
    assert len(set(inodes)) == len(inodes), "the kernel takes equal inodes for links"
    assert len(archive) % 4 == 0
