"""The file of `--events`: written without waiting for whoever reads it.

A FIFO may have no reader yet, or one that does not read. A run waits for neither: lines wait
in memory, up to a limit, and further ones are left out. Where lines were left out, the reader
finds how many.
"""

import collections
import contextlib
import errno
import json
import os
import select
import stat
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.journal.append import ForeignFileError, open_to_append
from orchestrator.journal.way import ForeignLinkError

#: Bytes of lines that wait for a reader.
ROOM = 1 << 20

#: How long the end of a run waits for the reader, in seconds.
SETTLE_S = 1.0

_LEFT_OUT = b'{"event": "left_out", "events":'

#: The advice for a file that another user could choose.
_REMEDY = (
    "Name a new file, or one of your own; or let the shell open it: --events /dev/fd/3 3>>FILE"
)


class EventsFileError(InputError):
    """The file for the events can't be opened."""


class EventsFile:
    """A file, a FIFO or /dev/fd/N that gets lines of JSON."""

    def __init__(self, path: Path, note: Callable[[str], None]) -> None:
        """Open the file. A FIFO that nobody reads is opened later, when somebody does.

        Args:
            path: of the file, which is appended to.
            note: is called, once for each kind of trouble, with words for a person.

        Raises:
            EventsFileError: the file can't be opened, or another user could choose it.
        """
        self._path = path
        self._note = note
        self._noted: set[str] = set()
        self._waiting: collections.deque[bytes] = collections.deque()
        self._bytes = 0
        self._left_out = 0
        self._begun = False
        """True if the first of the waiting lines was written in part."""
        self._descriptor = -1
        try:
            self._open(os.O_CREAT)
        except OSError as error:
            raise EventsFileError(f"opening {path} for events: {error.strerror}") from error
        except (ForeignFileError, ForeignLinkError) as error:
            raise EventsFileError(f"opening {path} for events: {error}. {_REMEDY}") from error
        if self._descriptor < 0:
            self._say(
                f"nobody reads the events in {path} yet. They wait for a reader; what is more than "
                f"{ROOM // 1024} KiB is left out"
            )

    def write(self, line: bytes) -> None:
        """Write a line as soon as the reader takes it."""
        if self._bytes + len(line) > ROOM:
            self._left_out += 1
            self._say(f"the reader of the events in {self._path} is too slow: some are left out")
        else:
            self._append_left_out()
            self._append(line)
        self._flush()

    def close(self) -> None:
        """Wait for the reader for a moment, and close the file."""
        self._append_left_out()
        until = time.monotonic() + SETTLE_S
        self._flush()
        while self._waiting and self._descriptor >= 0 and (left := until - time.monotonic()) > 0:
            poll = select.poll()
            poll.register(self._descriptor, select.POLLOUT)
            poll.poll(left * 1000)
            self._flush()
        if self._waiting:
            self._note(
                f"the last events were not written to {self._path}: nobody read them in time"
            )
        self._leave()

    def _append(self, line: bytes) -> None:
        self._waiting.append(line)
        self._bytes += len(line)

    def _append_left_out(self) -> None:
        if self._left_out:
            self._append(_LEFT_OUT + b" %d}\n" % self._left_out)
            self._left_out = 0

    def _drop_first(self) -> None:
        line = self._waiting.popleft()
        self._bytes -= len(line)
        lost = json.loads(line) if line.startswith(_LEFT_OUT) else {}
        self._left_out += lost.get("events", 1)

    def _drop_all(self) -> None:
        while self._waiting:
            self._drop_first()

    def _open(self, flags: int = 0) -> None:
        """Open the file, unless it is a FIFO without a reader.

        Raises:
            OSError: it can't be opened.
            ForeignFileError: it is another user's file.
            ForeignLinkError: another user's link leads there.
        """
        try:
            self._descriptor = open_to_append(self._path, flags)
        except OSError as error:
            if error.errno != errno.ENXIO or not stat.S_ISFIFO(self._path.stat().st_mode):
                raise

    def _flush(self) -> None:
        """Write as much as the reader takes."""
        try:
            if self._descriptor < 0:
                self._open()
            while self._waiting and self._descriptor >= 0:
                line = self._waiting[0]
                written = os.write(self._descriptor, line)
                self._bytes -= written
                self._begun = written < len(line)
                if self._begun:
                    self._waiting[0] = line[written:]
                else:
                    self._waiting.popleft()
        except BlockingIOError:
            pass  # the reader is slow
        except BrokenPipeError:
            self._leave()
            if self._begun:  # the next reader has no use for half a line
                self._drop_first()
                self._begun = False
            self._say(f"the reader of the events in {self._path} went away. They wait for another")
        except (ForeignFileError, ForeignLinkError) as error:
            self._drop_all()
            self._say(f"the events are no longer written to {self._path}: {error}")
        except OSError as error:
            if self._waiting:
                self._drop_first()
            if self._begun:  # a disk that is full may have room again
                self._waiting.appendleft(b"\n")
                self._bytes += 1
                self._begun = False
            self._say(f"writing events to {self._path}: {error.strerror}. Some are left out")

    def _leave(self) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1

    def _say(self, words: str) -> None:
        if words not in self._noted:
            self._noted.add(words)
            self._note(words)
