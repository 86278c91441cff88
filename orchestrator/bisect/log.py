"""The log of a bisection, from which alone every answer is computed."""

from collections.abc import Iterator
from pathlib import Path

from orchestrator.bisect.records import KINDS, Record
from orchestrator.journal.record_log import RecordLog, RecordLogError, read_records
from orchestrator.process.existence import is_folder

#: The log's name in an output folder.
LOG = "bisect.jsonl"

#: Bytes that a line may have; the first one has the whole history.
_LONGEST_LINE = 1 << 28


class LogError(RecordLogError):
    """A log can't be read, or is not the log of a bisection."""


class Log(RecordLog):
    """The open log of a bisection, to which one process alone can write."""

    def __init__(self, folder: Path, *, resume: bool = False, shared: bool = False) -> None:
        """Create the log in a folder, or open the one that is there; see `RecordLog`."""
        super().__init__(folder / LOG, KINDS, resume=resume, shared=shared)


def read_log(path: Path) -> Iterator[Record]:
    """Yield the records of a log. A last line that was cut short by a crash is left out.

    Args:
        path: the log, or the folder that has it.

    Raises:
        LogError: it can't be read, or a line is not a record.
    """
    file = path / LOG if is_folder(path) else path
    return read_records(file, KINDS, _LONGEST_LINE, LogError)
