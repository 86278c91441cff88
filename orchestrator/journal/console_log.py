"""The console output of a QEMU or a lab, as a file that never grows beyond a bound.

A guest prints a line a tick: more than a gigabyte a day. What matters of it is in the evidence.
"""

import contextlib
import os
import re
from collections import deque
from typing import IO

from orchestrator.journal.file import cannot_write
from orchestrator.journal.out_folder import OutFolder

#: Size at which a file is put aside for a new one. One that was put aside before is dropped.
FILE_BYTES = 2 << 20

#: Logs of one kind that are kept in a folder: the newest ones.
KEPT_LOGS = 125

#: The name of a log that was put aside, before its extension.
_EARLIER = ".earlier"


class ConsoleLog:
    """A log of at most two files: what came last, and what came before that."""

    def __init__(self, folder: OutFolder, name: str, *, buffered: bool = True) -> None:
        """Create the file.

        Args:
            folder: that gets it; closed with the log.
            name: of the file, such as `instance-0001.log`.
            buffered: whether to hand on what is written at once.

        Raises:
            FileExistsError: there is one.
            OSError: it can't be created.
        """
        self._folder, self._name = folder, name
        self._buffering = -1 if buffered else 0
        self._size = 0
        self._file = self._new()

    def _new(self) -> IO[bytes]:
        return os.fdopen(self._folder.create(self._name), "wb", self._buffering)

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            OSError: the disk is full, or the like.
        """
        if self._size and self._size + len(data) > FILE_BYTES:
            self._file.close()
            stem, dot, extension = self._name.rpartition(".")
            self._folder.rename(self._name, f"{stem}{_EARLIER}{dot}{extension}")
            self._file, self._size = self._new(), 0
        self._file.write(data)
        self._size += len(data)

    def close(self) -> None:
        """Close the file.

        Raises:
            OSError: what was written last does not fit on the disk.
        """
        try:
            self._file.close()
        finally:
            self._folder.close()


class ConsoleLogs:
    """The logs in one folder of the output folder. The oldest make room for new ones."""

    def __init__(self, out: OutFolder, name: str) -> None:
        """Prepare; the folder is made with the first log.

        Args:
            out: the output folder.
            name: of the folder in it.
        """
        self._out, self._name = out, name
        self._there: deque[str] | None = None

    def create(self, name: str, *, buffered: bool = True) -> ConsoleLog:
        """Create a log, and remove the oldest ones if there are too many.

        Raises:
            FileExistsError: there is one of that name.
            JournalError: it can't be created.
        """
        with contextlib.ExitStack() as failing:
            try:
                folder = failing.enter_context(self._out.folder(self._name))
                log = ConsoleLog(folder, name, buffered=buffered)
                self._note(folder, name)
            except FileExistsError:
                raise
            except OSError as error:
                raise cannot_write(self._out.path / self._name / name, error) from error
            failing.pop_all()
        return log

    def _note(self, folder: OutFolder, name: str) -> None:
        if self._there is None:
            found = {each.replace(f"{_EARLIER}.", ".") for each in folder.names()} - {name}
            self._there = deque(sorted(found, key=_number))
        self._there.append(name)
        while len(self._there) > KEPT_LOGS:
            oldest = self._there.popleft()
            stem, dot, extension = oldest.rpartition(".")
            for each in (oldest, f"{stem}{_EARLIER}{dot}{extension}"):
                with contextlib.suppress(FileNotFoundError):
                    folder.remove(each)


def _number(name: str) -> tuple[int, str]:
    """Return the number in a log's name, by which logs are ordered."""
    found = re.search(r"\d+", name)
    return int(found[0]) if found else 0, name
