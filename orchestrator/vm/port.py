"""One port that a guest prints to, watched by pexpect.

One reader takes bytes from the stream, timestamps them, passes a copy on and
feeds pexpect; nobody else reads that descriptor. What pexpect keeps is bounded,
so that a guest that floods its port costs no memory.
"""

import asyncio
import collections
import io
import re
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from pexpect import EOF, TIMEOUT
from pexpect._async import PatternWaiter
from pexpect.expect import Expecter, searcher_re
from pexpect.spawnbase import SpawnBase

from orchestrator.clock import Clock
from orchestrator.guest.lines import Line
from orchestrator.guest.protocol import LineReader

#: Unmatched bytes that are kept; what came before them is dropped and counted.
WINDOW_BYTES = 64 * 1024

#: Bytes kept for evidence.
TAIL_BYTES = 4096

_CHUNK_BYTES = 64 * 1024


class _NoTransport(asyncio.ReadTransport):
    """Stands where pexpect expects the transport that it would pause: ours never pauses."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


if TYPE_CHECKING:
    _Spawn = SpawnBase[bytes]
    _Waiter = PatternWaiter[bytes]
else:
    _Spawn, _Waiter = SpawnBase, PatternWaiter


class _Fed(_Spawn):
    """A pexpect spawn that is fed, instead of reading a descriptor.

    `PatternWaiter` is pexpect's own receiver of asynchronous data; it is given the
    data here, and a transport that does nothing.
    """

    def __init__(self) -> None:
        super().__init__(timeout=None)
        self.dropped = 0
        transport = _NoTransport()
        self._waiter = _Waiter()
        self._waiter.connection_made(transport)
        # Before the first expect: an expecter that leads here, and nobody waiting.
        self._waiter.set_expecter(Expecter(self, searcher_re([])))
        self._waiter.fut.cancel()
        self.async_pw_transport = (self._waiter, transport)

    @property
    def unclaimed(self) -> int:
        """Bytes that no pattern has claimed yet."""
        return self._buffer.tell()

    def feed(self, data: bytes) -> None:
        self._waiter.data_received(data)
        if max(self.unclaimed, self._before.tell()) > WINDOW_BYTES:
            tail = self._buffer.getvalue()[-WINDOW_BYTES // 2 :]
            self.dropped += self.unclaimed - len(tail)
            self.keep(tail)

    def feed_eof(self) -> None:
        self.flag_eof = True
        if not self._waiter.fut.done():
            self._waiter.eof_received()

    def keep(self, data: bytes) -> None:
        """Hold only `data`."""
        self._buffer, self._before = io.BytesIO(), io.BytesIO()
        self._buffer.write(data)
        self._before.write(data)


class ConsoleClosed(Exception):  # noqa: N818  # an end, not an error: QEMU may end it
    """The stream has ended."""


class Port:
    """A stream, and the lines of a guest in it."""

    def __init__(
        self,
        stream: socket.socket,
        clock: Clock,
        reader: LineReader,
        copy: Callable[[bytes], None] = lambda data: None,
    ) -> None:
        """Begin to read.

        Args:
            stream: what the guest prints.
            clock: by which it arrives.
            reader: knows the form of the guest's lines.
            copy: gets all that arrives, whole lines at a time where they are lines.
        """
        stream.setblocking(False)
        self._stream = stream
        self._clock = clock
        self._reader = reader
        self._copy = copy
        self._loop = asyncio.get_running_loop()
        self._spawn = _Fed()
        self._partial = b""
        self._fed = 0
        self._arrivals: collections.deque[tuple[int, int]] = collections.deque(maxlen=4096)
        self._tail: collections.deque[bytes] = collections.deque(maxlen=512)
        self.closed = False
        self.received_bytes = 0
        self.garbled = 0
        """Lines whose form fitted but whose checksum did not."""
        self._patterns = self._spawn.compile_pattern_list([reader.line, EOF, TIMEOUT])
        self._loop.add_reader(stream.fileno(), self._pump)

    @property
    def dropped_bytes(self) -> int:
        """Bytes dropped because no pattern claimed them before the window was full."""
        return self._spawn.dropped

    def _pump(self) -> None:
        """Take all that has arrived."""
        while not self.closed:
            try:
                data = self._stream.recv(_CHUNK_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            if not data:
                self.close()
                self._spawn.feed_eof()
                return
            self.received_bytes += len(data)
            self._tail.append(data[-TAIL_BYTES:])
            # Bytes come one at a time; pexpect need look only when a line is whole.
            self._partial += data
            whole = self._partial.rfind(b"\n") + 1
            if whole or len(self._partial) > WINDOW_BYTES:
                whole = whole or len(self._partial)
                self._fed += whole
                self._arrivals.append((self._fed, self._clock.now_ns()))
                ready, self._partial = self._partial[:whole], self._partial[whole:]
                self._copy(ready)
                self._spawn.feed(ready)

    def _arrived_ns(self) -> int:
        """Return when the last byte that was matched arrived."""
        offset = self._fed - self._spawn.unclaimed
        while len(self._arrivals) > 1 and self._arrivals[0][0] < offset:
            self._arrivals.popleft()
        return self._arrivals[0][1]

    async def next_line(self, timeout_s: float) -> tuple[int, Line, int] | None:
        """Wait for the next line of the guest.

        Returns:
            The vCPU, its line, and when that arrived, in the host's nanoseconds; None if
            none came in time.

        Raises:
            ConsoleClosed: the stream ended.
        """
        deadline = self._loop.time() + timeout_s
        while True:
            left = 0 if self.closed else max(0, deadline - self._loop.time())
            match await self._spawn.expect_list(self._patterns, timeout=left, async_=True):
                case 0:
                    said = self._reader.parse(cast(re.Match[bytes], self._spawn.match))
                    if said is not None:
                        return *said, self._arrived_ns()
                    self.garbled += 1
                case _ if self.closed:
                    raise ConsoleClosed
                case _:
                    return None

    def drain(self) -> int:
        """Throw away all that has arrived so far; return how many bytes nobody had read.

        In a stopped instance this is the whole of the past: what comes later was
        printed later.
        """
        self._pump()
        unread = self._spawn.unclaimed + len(self._partial)
        self._copy_partial()
        self._spawn.keep(b"")
        return unread

    def _copy_partial(self) -> None:
        """Pass on the part of a line that will not become whole."""
        self._copy(self._partial)
        self._partial = b""

    def tail(self) -> bytes:
        """Return the last bytes seen."""
        return b"".join(self._tail)[-TAIL_BYTES:]

    def close(self) -> None:
        """Stop reading."""
        if not self.closed:
            self.closed = True
            self._loop.remove_reader(self._stream.fileno())
            self._copy_partial()
