"""Standard output and standard error of a command, as reliable as their readers allow.

A run must not stop, fail or lose its exit code because of where its words go: to a full
disk, a pipe that nobody reads or empties, a terminal that was closed, or nowhere at all.

- Standard output has the results. It is kept until the command ends, and then written.
  If that fails, the exit code says so. A stream of results flows in a thread meanwhile.
- Standard error has what a person may like to know meanwhile. A thread writes it, so that
  nobody waits for a slow reader. What can't be written is left out.

Imports only modules that take no time: every command begins here.
"""

import collections
import contextlib
import errno
import io
import os
import select
import sys
import threading
import time
from typing import TextIO

from orchestrator.process.write_all import write_all

#: Characters that wait for the reader of standard error. More is left out.
ROOM = 64 * 1024

#: How long the end of a command waits for the reader of standard error, in seconds.
SETTLE_S = 1.0

#: The errors of an output that nobody reads: a closed pipe, a closed descriptor, a terminal that
#: hung up, a socket whose peer is gone.
_UNREAD = (errno.EPIPE, errno.EBADF, errno.EIO, errno.ECONNRESET, errno.ENXIO, errno.ENOTCONN)

_STDOUT, _STDERR = 1, 2

#: Rows that are drawn anew hide the cursor of a terminal.
_SHOW_CURSOR = "\x1b[?25h"


class UnreadError(Exception):
    """Nobody reads standard output."""


def occupy_closed_descriptors() -> frozenset[int]:
    """Open /dev/null as each standard descriptor that is closed; return their numbers.

    Otherwise the first file that the command opens, perhaps its journal, would be taken for the
    standard output of each program that it starts.
    """
    closed = []
    for descriptor in (0, _STDOUT, _STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
            os.set_inheritable(descriptor, True)
            closed.append(descriptor)
    return frozenset(closed)


class _Stream(io.TextIOBase):
    """A stream that stands in for one of the interpreter's."""

    def __init__(self, real: TextIO | None, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._encoding = (real.encoding if real else None) or "utf-8"

    @property
    def encoding(self) -> str:  # type: ignore[override]  # the interpreter has an attribute
        """The encoding; what it can't encode is written as an escape."""
        return self._encoding

    def writable(self) -> bool:
        """Return that it can be written to."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return whether a terminal shows the text."""
        return os.isatty(self._descriptor)

    def _encoded(self, text: str) -> bytes:
        return text.encode(self._encoding, "backslashreplace")


class StandardOutput(_Stream):
    """Keeps what a command prints until `deliver` writes it."""

    def __init__(self, real: TextIO | None = None, *, closed: bool = False) -> None:
        """Prepare.

        Args:
            real: the interpreter's stream, for its encoding.
            closed: whether the descriptor was closed when the command began.
        """
        super().__init__(real, _STDOUT)
        self._closed = closed
        self._kept: list[str | bytes] = []
        self._flowing: collections.deque[bytes] = collections.deque()
        self._flows = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ended = False
        self._fault: UnreadError | OSError | None = None

    def write(self, text: str) -> int:
        """Keep a text."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._kept.append(text)
        return len(text)

    def keep(self, data: bytes) -> None:
        """Keep bytes that are written as they are, whatever the encoding of the text."""
        self._kept.append(data)

    def flow(self, data: bytes) -> None:
        """Have bytes written now, in a thread, so that nobody waits for a slow reader.

        If they can't be written, `deliver` says so.

        Raises:
            RuntimeError: no thread can be started.
        """
        with self._flows:
            if self._thread is None:
                thread = threading.Thread(target=self._flow_on, name="stdout", daemon=True)
                thread.start()
                self._thread = thread
            self._flowing.append(data)
            self._flows.notify_all()

    def _flow_on(self) -> None:
        while True:
            with self._flows:
                while not (self._flowing or self._ended):
                    self._flows.wait()
                data = b"".join(self._flowing)
                self._flowing.clear()
            if not data:
                return
            try:
                self._write(data)
            except (UnreadError, OSError) as error:
                self._fault = error
                return

    def deliver(self) -> None:
        """Write the texts, after what flows.

        Raises:
            UnreadError: nobody reads them.
            OSError: they can't be written.
        """
        self._end_flow(None)
        if self._fault is not None:
            raise self._fault
        self._write(self._taken())

    def settle(self, seconds: float = SETTLE_S) -> None:
        """Write the texts as far as the reader takes them, for some seconds at most."""
        if data := self._taken():
            try:
                self.flow(data)
            except RuntimeError:  # no thread can be started
                write_at_once(self._descriptor, data)
        self._end_flow(seconds)

    def _taken(self) -> bytes:
        """Return what was kept, which is kept no longer."""
        kept = list(self._kept)
        self._kept.clear()
        return b"".join(
            piece if isinstance(piece, bytes) else self._encoded(piece) for piece in kept
        )

    def _end_flow(self, seconds: float | None) -> None:
        if self._thread is not None:
            with self._flows:
                self._ended = True
                self._flows.notify_all()
            self._thread.join(seconds)

    def _write(self, data: bytes) -> None:
        if data and self._closed:
            raise UnreadError
        try:
            write_all(self._descriptor, data)
        except OSError as error:
            if error.errno in _UNREAD:
                raise UnreadError from error
            raise


class StandardError(_Stream):
    """Writes in a thread. No write raises an error, and none waits."""

    def __init__(self, real: TextIO | None = None) -> None:
        """Prepare; `real` is the interpreter's stream, for its encoding."""
        super().__init__(real, _STDERR)
        self._waiting: collections.deque[str] = collections.deque()
        self._changed = threading.Condition()
        self._room = ROOM
        self._left_out = 0
        self._busy = False
        self._thread: threading.Thread | None = None

    def write(self, text: str) -> int:
        """Have a text written, or leave it out if too much waits already."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        with self._changed:
            if len(text) > self._room and (self._waiting or self._busy):
                self._left_out += 1
                return len(text)
            if self._left_out and not self.isatty():  # a terminal's rows are drawn anew anyway
                text = f"[{self._left_out} pieces of output were left out]\n{text}"
                self._left_out = 0
            self._room -= len(text)
            self._waiting.append(text)
            if self._thread is None:
                thread = threading.Thread(target=self._write_on, name="stderr", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no thread can be started: a limit may be used up
                    self._waiting.pop()
                    self._room += len(text)
                    write_at_once(self._descriptor, self._encoded(text))
                    return len(text)
                self._thread = thread
            self._changed.notify_all()
        return len(text)

    def settle(self, seconds: float = SETTLE_S) -> None:
        """Wait until all is written, for some seconds at most."""
        until = time.monotonic() + seconds
        with self._changed:
            while self._waiting or self._busy:
                left = until - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(left)

    def _write_on(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                texts = list(self._waiting)
                self._waiting.clear()
                self._busy = True
            try:
                write_all(self._descriptor, self._encoded("".join(texts)))
            except OSError:
                pass  # a disk may have room again later: the next text is tried as well
            finally:
                with self._changed:
                    self._room += sum(map(len, texts))
                    self._busy = False
                    self._changed.notify_all()


def write_at_once(descriptor: int, data: bytes) -> None:
    """Write bytes as far as that needs no wait for a reader; leave out the rest."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    with contextlib.suppress(OSError):
        while data and poll.poll(0):  # then a pipe has room for PIPE_BUF bytes
            data = data[os.write(descriptor, data[: select.PIPE_BUF]) :]


def print_bytes(data: bytes, *, now: bool = False) -> None:
    """Print bytes on standard output: when the command ends, or now."""
    if isinstance(sys.stdout, StandardOutput):
        try:
            (sys.stdout.flow if now else sys.stdout.keep)(data)
        except RuntimeError:  # no thread can be started
            sys.stdout.keep(data)
    else:  # the command runs inside another program, which has a stream of its own
        sys.stdout.write(data.decode("utf-8", "replace"))


class Streams:
    """The streams of this process while a command runs.

    A program that runs the command inside itself, with streams of its own, keeps its streams.
    """

    def __init__(self) -> None:
        """Take over `sys.stdout` and `sys.stderr`."""
        self.embedded = sys.stdout is not sys.__stdout__ or sys.stderr is not sys.__stderr__
        closed = occupy_closed_descriptors()
        self.output = StandardOutput(sys.stdout, closed=_STDOUT in closed)
        self.error = StandardError(sys.stderr)
        if not self.embedded:
            sys.stdout, sys.stderr = self.output, self.error

    def give_back(self) -> None:
        """Restore the interpreter's own streams."""
        self.error.settle()
        if not self.embedded:
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__


def end_streams(seconds: float = SETTLE_S) -> None:
    """Write what was printed, as far as that goes in some seconds: the process is about to end."""
    until = time.monotonic() + seconds
    if isinstance(sys.stdout, StandardOutput):
        sys.stdout.settle(0)  # begins; a standard error that has stalled must not keep it
    if isinstance(sys.stderr, StandardError):
        if sys.stderr.isatty():
            sys.stderr.write(_SHOW_CURSOR)
        sys.stderr.settle(seconds)
    if isinstance(sys.stdout, StandardOutput):
        sys.stdout.settle(max(until - time.monotonic(), 0))
