"""Archives from which a Linux kernel fills its first file system."""

import functools
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.cache.program import shipped


@dataclass(frozen=True, slots=True)
class Entry:
    """A folder, a file or a device node."""

    name: str
    """Path without the first slash."""
    mode: int
    """Kind and permissions, as in `st_mode`."""
    data: bytes = b""
    device: tuple[int, int] = (0, 0)
    """Major and minor number of a device node."""


def folder(name: str) -> Entry:
    """Return a folder."""
    return Entry(name, stat.S_IFDIR | 0o755)


def program(name: str, data: bytes) -> Entry:
    """Return an executable file."""
    return Entry(name, stat.S_IFREG | 0o755, data)


def node(name: str, major: int, minor: int) -> Entry:
    """Return a character device."""
    return Entry(name, stat.S_IFCHR | 0o600, device=(major, minor))


def archive(entries: Iterable[Entry]) -> bytes:
    """Return an archive in the "new ASCII" format of cpio, not compressed.

    Every kernel with an initial RAM disk can unpack it. The entries belong to root. The format
    is described in the kernel's initramfs-buffer-format document.
    """
    packed = bytearray()
    for inode, entry in enumerate([*entries, Entry("TRAILER!!!", 0)], 1):
        path, data = entry.name.encode() + b"\0", entry.data
        fields = (inode, entry.mode, 0, 0, 1, 0, len(data), 0, 0, *entry.device, len(path), 0)
        packed += b"070701" + b"".join(b"%08x" % field for field in fields)
        for part in (path, data):
            packed += part
            packed += b"\0" * (-len(packed) % 4)
    return bytes(packed)


@functools.cache
def initramfs() -> bytes:
    """Return the archive that the Linux guest boots from.

    The kernel opens `/dev/console` before it runs the first process, which opens `/dev/mem`.
    """
    return archive(
        [
            folder("dev"),
            folder("proc"),
            node("dev/console", 5, 1),
            node("dev/mem", 1, 1),
            program("init", shipped("init", "linux").read_bytes()),
        ]
    )
