"""The output folder of a run as one compressed file, read without extracting it.

Such a bundle may come from a stranger. It is a tar archive of plain files in the order in which
they were written, compressed by Zstandard. Anything else in it is refused: links, devices, names
that lead elsewhere or stand twice, and far more data than a run writes.
"""

import io
import os
import stat
import sys
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from orchestrator.errors import InputError

if sys.version_info >= (3, 14):
    from compression import zstd as zstd
else:
    from backports import zstd as zstd

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Begins every frame of Zstandard.
MAGIC = b"\x28\xb5\x2f\xfd"

#: Most bytes of all files together, and most times as many as the bundle itself has, once they
#: are more than `FREE_BYTES`.
MOST_BYTES = 16 << 30
MOST_RATIO = 300
FREE_BYTES = 256 << 20

#: Most files.
MOST_FILES = 300_000

#: Most bytes of the small files that are kept in memory, of each and of all.
SMALL = 8 << 20
ALL_SMALL = 64 << 20

#: Zstandard's own limit of the memory for reading: 128 MiB.
_WINDOW_LOG = 27

_BLOCK = 512

#: Zeros that may follow the last file: tar writes whole records.
_MOST_PADDING = 20 * _BLOCK


class BundleError(InputError):
    """A file is not a bundle that can be read, with the reason."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"reading the bundle {path}: {reason}. Only what `losttick bundle` wrote is read."
        )


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a bundle. Its content is read before the next file is asked for."""

    name: str
    size: int
    content: BinaryIO


def is_bundle(path: Path) -> bool:
    """Return whether a path leads to a file that begins as a bundle does."""
    try:
        with _opened(path) as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def index(path: Path) -> Mapping[str, int]:
    """Return the names of the files of a bundle with their sizes; the whole bundle is checked.

    Raises:
        OSError: the file can't be read.
        BundleError: it is not a bundle, or has something in it that a bundle never has.
    """
    return _index(path, _stamp(path))


def small_files(path: Path, folder: str) -> Mapping[str, bytes]:
    """Return the small files of a folder of a bundle, by name, as many as memory is given to.

    Raises:
        OSError: the file can't be read.
        BundleError: as for `index`.
    """
    return _small(path, folder, _stamp(path))


def open_member(path: Path, name: str) -> BinaryIO:
    """Open a file of a bundle, to be read from its beginning. Its lines have a limit.

    Raises:
        FileNotFoundError: the bundle has no such file.
        OSError: the bundle can't be read.
        BundleError: as for `index`.
    """
    if name not in index(path):
        raise FileNotFoundError(2, os.strerror(2), str(path / name))
    members = read_members(path)
    for member in members:
        if member.name == name:
            return _Held(member, members)
    raise BundleError(path, f"{name} was there, and is gone: the file has just been changed")


def read_members(path: Path) -> Iterator[Member]:
    """Yield the files of a bundle in their order.

    Raises:
        OSError: the bundle can't be read.
        BundleError: as for `index`, once it is met.
    """
    with _opened(path) as file:
        most = min(MOST_BYTES, max(FREE_BYTES, MOST_RATIO * os.fstat(file.fileno()).st_size))
        options = {int(zstd.DecompressionParameter.window_log_max): _WINDOW_LOG}
        try:
            with zstd.ZstdFile(file, options=options) as data:
                yield from _members(path, data, most)
        except (zstd.ZstdError, EOFError) as error:
            raise BundleError(path, f"it is damaged or cut short ({error})") from error


def _members(path: Path, data: "zstd.ZstdFile", most: int) -> Iterator[Member]:
    names: set[str] = set()
    total = 0
    while (block := _exactly(path, data, _BLOCK)) != bytes(_BLOCK):
        member = _member(path, block)
        if member.name in names:
            raise BundleError(path, f"{member.name!r} stands in it twice")
        names.add(member.name)
        total += member.size
        if total > most or len(names) > MOST_FILES:
            raise BundleError(path, f"it holds more than {most:,} bytes or {MOST_FILES:,} files")
        part = _Part(path, data, member.size)
        yield Member(member.name, member.size, io.BufferedReader(part))
        part.skip()
        _exactly(path, data, -member.size % _BLOCK)
    rest = data.read(_MOST_PADDING + 1)
    if any(rest) or len(rest) > _MOST_PADDING or len(rest) < _BLOCK:
        raise BundleError(path, "it does not end where its files end")


def _member(path: Path, block: bytes) -> tarfile.TarInfo:
    """Return the header of a file.

    Raises:
        BundleError: it is not one of a plain file with a plain name.
    """
    try:
        found = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, ValueError) as error:
        raise BundleError(path, f"it is no archive of files ({error})") from error
    name = found.name
    if found.type != tarfile.REGTYPE or found.linkname or found.size < 0:
        raise BundleError(path, f"{name!r} is not a plain file, but a link, a device or the like")
    parts = name.split("/")
    if not name.isprintable() or "\\" in name or any(part in ("", ".", "..") for part in parts):
        raise BundleError(path, f"{name!r} is not a name of a file below the run's folder")
    return found


def _exactly(path: Path, data: "zstd.ZstdFile", count: int) -> bytes:
    """Return the next bytes.

    Raises:
        BundleError: there are fewer.
    """
    found = b""
    while len(found) < count:
        more = data.read(count - len(found))
        if not more:
            raise BundleError(path, "it is cut short")
        found += more
    return found


class _Part(io.RawIOBase):
    """The content of one file, out of the stream of all."""

    def __init__(self, path: Path, data: "zstd.ZstdFile", size: int) -> None:
        self._path, self._data, self._left = path, data, size

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Read the next bytes of the file, and none of the next file."""
        view = memoryview(buffer).cast("B")
        found = self._data.read(min(len(view), self._left))
        if self._left and len(view) and not found:
            raise BundleError(self._path, "it is cut short")
        self._left -= len(found)
        view[: len(found)] = found
        return len(found)

    def skip(self) -> None:
        """Read and drop what is left."""
        while self._left:
            self.readinto(bytearray(min(self._left, 1 << 20)))


class _Held(io.BufferedReader):
    """A file of a bundle. It holds the bundle open while it is read."""

    def __init__(self, member: Member, members: Iterator[Member]) -> None:
        self._members = members
        super().__init__(member.content)  # type: ignore[arg-type]  # a reader, of bytes that are there


def _opened(path: Path) -> BinaryIO:
    """Open a file to read it. A FIFO would let the reader wait for ever.

    Raises:
        OSError: it can't be opened, or is no file.
    """
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115  # Path.open takes no opener
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(22, "it is not a file", str(path))
    return file


def _stamp(path: Path) -> tuple[int, int, int, int]:
    """Return what changes when the file changes."""
    about = path.stat()
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns


@lru_cache(maxsize=8)
def _index(path: Path, _stamp: object) -> Mapping[str, int]:
    return {member.name: member.size for member in read_members(path)}


@lru_cache(maxsize=4)
def _small(path: Path, folder: str, _stamp: object) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    left = ALL_SMALL
    for member in read_members(path):
        if member.name.startswith(f"{folder}/") and member.size <= min(SMALL, left):
            found[member.name] = member.content.read()
            left -= member.size
    return found
