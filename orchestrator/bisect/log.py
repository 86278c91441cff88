"""The log of a bisection: a line of JSON a record, on the disk before the next test begins.

Every answer is computed from the log alone, so a bisection can be resumed after any crash, and its
log can be read on another computer.
"""

from collections.abc import Iterator
from pathlib import Path

from orchestrator.bisect.records import BadLineError, Record, decode, encode
from orchestrator.errors import InputError
from orchestrator.journal.file import Journal
from orchestrator.journal.journal_file import open_journal

#: The log's name in an output folder.
LOG = "bisect.jsonl"

#: Bytes that a line may have; the first one has the whole history.
_LONGEST_LINE = 1 << 28


class LogError(InputError):
    """A log can't be read, or is not the log of a bisection."""


class Log:
    """The open log of a bisection, to which one process alone can write."""

    def __init__(self, folder: Path, *, resume: bool = False, shared: bool = False) -> None:
        """Create the log in a folder, or open the one that is there.

        Raises:
            JournalError: it can't be created or opened.
            BusyJournalError: another process writes to it.
            OutFolderError: another user can write to its folder.
        """
        self._journal = Journal(folder / LOG, resume=resume, shared=shared)

    def write(self, record: Record) -> None:
        """Append a record, and wait until it is on the disk.

        Raises:
            JournalError: the disk is full, or the like; or the log was deleted or moved.
        """
        self._journal.append(encode(record, self._journal.records + 1), sync=True)

    def close(self) -> None:
        """Close the file."""
        self._journal.close()

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_log(path: Path) -> Iterator[Record]:
    """Yield the records of a log. A last line that was cut short by a crash is left out.

    Args:
        path: the log, or the folder that has it.

    Raises:
        LogError: it can't be read, or a line is not a record.
    """
    file = path / LOG if path.is_dir() else path
    try:
        with open_journal(file) as log:
            number = 0
            while line := log.readline(_LONGEST_LINE):
                number += 1
                if not line.endswith(b"\n"):
                    if len(line) == _LONGEST_LINE:
                        raise LogError(f"reading the log {file}: line {number}: it is too long")
                    break
                try:
                    yield decode(line, number)
                except BadLineError as error:
                    raise LogError(
                        f"reading the log {file}: line {number}: {error}. Is it the log of a "
                        "bisection, whole and by this version of losttick?"
                    ) from error
    except OSError as error:
        raise LogError(f"reading the log {file}: {error.strerror}") from error
