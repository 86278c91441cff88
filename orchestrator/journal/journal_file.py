"""Opens a journal to read it: in the output folder of a run, or in a bundle."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from orchestrator.errors import InputError
from orchestrator.journal.out_folder import OutFolder

#: Most bytes of a line of a journal.
LONGEST_LINE = 64 << 20


class JournalFormatError(InputError):
    """A file is not a journal that can be read, with the line and the reason."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(f"reading the journal {path}: line {line}: {reason}")
        self.path = path
        self.line = line
        self.reason = reason


def in_bundle(path: Path) -> bool:
    """Return whether the folder of a file is a file itself: a bundle."""
    return path.parent.is_file()


def _member(path: Path) -> BinaryIO:
    """Open a journal in a bundle.

    Raises:
        OSError: what stands in the place of its folder is no bundle, or can't be read.
        BundleError: the bundle is refused.
    """
    # Few journals are in bundles, and Zstandard takes its time to import.
    from orchestrator.journal.archive import is_bundle, open_member

    if not is_bundle(path.parent):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path.parent))
    return open_member(path.parent, path.name)


def open_journal(path: Path, folder: OutFolder | None = None) -> BinaryIO:
    """Open a journal to read it, by its path or by its name in a folder that is held open.

    Raises:
        OSError: it can't be opened.
        JournalFormatError: it is not a file. (A FIFO would let the reader wait for ever.)
    """

    def opener(name: str, flags: int) -> int:
        flags |= os.O_NONBLOCK
        return os.open(name, flags) if folder is None else folder.reopen(path.name, flags)

    if folder is None and in_bundle(path):
        return _member(path)
    journal = open(path, "rb", opener=opener)  # noqa: SIM115  # Path.open takes no opener
    if not stat.S_ISREG(os.fstat(journal.fileno()).st_mode):
        journal.close()
        raise JournalFormatError(path, 1, "it is not a file")
    return journal


def journal_lines(path: Path, journal: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of an open journal, each with its end.

    Raises:
        OSError: it can't be read.
        JournalFormatError: a line is too long to be kept in memory. A file may be all one line.
    """
    number = 0
    while line := journal.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise JournalFormatError(path, number, f"it has more than {LONGEST_LINE:,} bytes")
        yield line
