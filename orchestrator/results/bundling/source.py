"""The files of a run, from its output folder or from a bundle."""

import errno
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from orchestrator.journal.archive import Member, is_bundle, read_members
from orchestrator.journal.file import JOURNAL

#: The folders of a run, within its output folder.
FOLDERS = ("evidence", "console", "serial")

_NOT_PLAIN = "it is no plain file"

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def run_files(source: Path, left_out: list[str]) -> Iterator[Member]:
    """Yield the journal and then the other files of a run, in the order of their names.

    A journal that is still being written ends with its last whole line.

    Args:
        source: the output folder, or a bundle.
        left_out: gets links and whatever else is no plain file or can't be read, with the reason.

    Raises:
        OSError: a file can't be read.
        BundleError: the source is a bundle, and is refused.
    """
    if is_bundle(source):
        for member in read_members(source):
            if member.name == JOURNAL or member.name.partition("/")[0] in FOLDERS:
                yield member
        return
    with (source / JOURNAL).open("rb") as journal:
        size = _whole_lines(journal)
        yield Member(JOURNAL, size, journal)
    for folder in FOLDERS:
        if (source / folder).is_symlink():
            left_out.append(f"{folder}: {_NOT_PLAIN}")
        elif (source / folder).is_dir():
            yield from _below(source / folder, folder, left_out)


def _below(top: Path, name: str, left_out: list[str]) -> Iterator[Member]:
    """Yield the plain files below a folder."""
    for place, folders, files, fd in os.fwalk(top, follow_symlinks=False):
        folders.sort()
        below = os.path.relpath(place, top)
        for file in sorted(files):
            path = "/".join(part for part in (name, below, file) if part != ".")
            try:
                opened = _plain(file, fd)
            except OSError as error:
                plain = error.errno not in (None, errno.ELOOP, errno.ENXIO)
                left_out.append(f"{path!r}: {error.strerror if plain else _NOT_PLAIN}")
                continue
            with opened:
                yield Member(path, os.fstat(opened.fileno()).st_size, opened)


def _plain(name: str, at: int) -> BinaryIO:
    """Open a plain file.

    Raises:
        OSError: it can't be read, or is a link, a FIFO or the like.
    """
    file = os.fdopen(os.open(name, _FILE, dir_fd=at), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError
    return file


def _whole_lines(file: BinaryIO) -> int:
    """Return the size of a file up to its last whole line; the file is then at its beginning."""
    end = file.seek(0, io.SEEK_END)
    while end:
        start = max(0, end - (1 << 16))
        file.seek(start)
        last = file.read(end - start).rfind(b"\n")
        if last >= 0:
            end = start + last + 1
            break
        end = start
    file.seek(0)
    return end
