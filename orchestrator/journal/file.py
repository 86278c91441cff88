"""The journal: append-only JSON lines, the truth from which all else is derived.

Each record has its kind in `record` and the wall-clock time in `at`. It is
handed to the kernel before the next step begins, so that a run that is killed
leaves a readable journal: only its last line may be torn.
"""

import datetime
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.errors import InfraError, InputError
from orchestrator.journal.compact import Restorer, shorten
from orchestrator.journal.plain import plain


class JournalError(InfraError):
    """The journal can't be written."""


class BusyJournalError(InputError):
    """Another process writes to the journal: its run still goes on."""


class Journal:
    """An open journal."""

    def __init__(self, path: Path, *, resume: bool = False) -> None:
        """Create the file, or open the one that is there to append to it.

        Args:
            path: of the file.
            resume: whether it is there; a last line that was torn by a kill is removed.

        Raises:
            JournalError: it can't be created or opened.
            BusyJournalError: another process writes to it.
        """
        self.path = path
        how = 0 if resume else os.O_CREAT | os.O_EXCL
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | how, 0o644)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if resume:
                    _cut_torn_line(self._fd)
            except BaseException:
                os.close(self._fd)
                raise
        except BlockingIOError as error:
            raise BusyJournalError(
                f"opening the journal {path}: that run still goes on, in another process"
            ) from error
        except OSError as error:
            doing = "opening" if resume else "creating"
            raise JournalError(
                f"{doing} the journal {path}: {error.strerror}. "
                "Choose another place with --out DIR."
            ) from error

    def write(self, record: str, **fields: object) -> None:
        """Append one record.

        Raises:
            JournalError: the disk is full, or the like.
        """
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        said = plain(fields)
        if record == "trial":
            said = shorten(said)
        line = json.dumps({"record": record, "at": at.replace("+00:00", "Z"), **said},
                          separators=(",", ":"))  # fmt: skip
        data = (line + "\n").encode()
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            raise JournalError(
                f"writing to the journal {self.path}: {error.strerror}. What was written so far "
                "is good. Make room, or choose another place with --out DIR."
            ) from error

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _cut_torn_line(fd: int) -> None:
    """Remove what stands after the last whole line."""
    end = os.lseek(fd, 0, os.SEEK_END)
    while end and os.pread(fd, 1, end - 1) != b"\n":
        end -= 1
    os.ftruncate(fd, end)


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records in full; a last line that was torn by a kill is left out."""
    restorer = Restorer()
    from pydantic_core import from_json  # quicker than json, where there are millions

    with path.open("rb") as journal:
        for line in journal:
            if not line.endswith(b"\n"):
                return
            record = from_json(line)
            kind = record.get("record")
            if kind == "restart":
                restorer.forget(record["cell"])
            yield restorer.restore(record) if kind == "trial" else record
