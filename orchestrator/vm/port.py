"""One stream that a guest prints to, in which pexpect finds the lines.

One reader takes bytes from the stream, notes when they arrived and passes a copy on.
Whole lines go to pexpect through a socketpair, one piece at a time and only while
somebody waits for a line, so that pexpect never holds more than one piece. Everything
else that is kept is bounded as well: a guest that floods its console costs no memory.
"""

import asyncio
import collections
import re
import socket
from collections.abc import Callable
from typing import cast

from pexpect import EOF
from pexpect.fdpexpect import fdspawn

from orchestrator.clock import Clock
from orchestrator.errors import InfraError
from orchestrator.guest.lines import Line
from orchestrator.guest.protocol import LineReader

#: Bytes of lines that nobody has read, and of a line that does not end: when there are
#: more, the oldest are dropped and counted.
WINDOW_BYTES = 64 * 1024

#: Bytes kept for evidence.
TAIL_BYTES = 4096

_CHUNK_BYTES = 64 * 1024

#: Bytes that arrived within this time after the end of a wait are still read in it. Without this
#: limit, a guest that floods its console with other things than lines would never let a wait end.
GRACE_NS = 1_000_000_000


class ConsoleClosedError(InfraError):
    """The stream has ended."""

    def __init__(self) -> None:
        super().__init__("hearing the guest: QEMU has closed the console")


class Port:
    """A stream, and the guest's lines in it."""

    def __init__(
        self,
        stream: socket.socket,
        clock: Clock,
        reader: LineReader,
        copy: Callable[[bytes], None] = lambda data: None,
    ) -> None:
        """Begin to read.

        Args:
            stream: carries what the guest prints.
            clock: timestamps what arrives.
            reader: knows the form of the guest's lines.
            copy: gets everything that arrives, in whole lines where possible.
        """
        stream.setblocking(False)
        self._stream = stream
        self._clock = clock
        self._reader = reader
        self._copy = copy
        self._loop = asyncio.get_running_loop()
        self._arrival: asyncio.Future[None] | None = None
        """Done when whole lines have arrived. None until somebody waits for them."""
        self._partial = b""
        """The beginning of a line whose end has not arrived."""
        self._waiting: collections.deque[tuple[bytes, int]] = collections.deque()
        """Whole lines that were not given to pexpect yet, and when they arrived."""
        self._waiting_bytes = 0
        self._feed, theirs = socket.socketpair()
        self._feed.setblocking(False)
        # Room for the largest piece, whatever the system's default is: a piece that is cut in
        # the middle of a line would not match.
        self._feed.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * WINDOW_BYTES)
        self._spawn = fdspawn(theirs.detach(), timeout=None)
        self._patterns = self._spawn.compile_pattern_list(
            [reader.line, _other_line(reader.line), EOF]
        )
        self._unclaimed = 0
        """Bytes that were given to pexpect and that it has not matched yet."""
        self._stale = 0
        """How many of the unclaimed bytes were drained."""
        self._fed_ns = 0
        """When the piece that was given to pexpect had arrived."""
        self._tail: collections.deque[bytes] = collections.deque(maxlen=512)
        self._connecting: asyncio.Task[None] | None = None
        """pexpect's first wait, which connects it to the socketpair and must not be cut short."""
        self._closing: asyncio.Task[None] | None = None
        self.closed = False
        self.received_bytes = 0
        self.garbled = 0
        """Lines of the guest's form with a wrong checksum."""
        self.dropped_bytes = 0
        """Bytes that were no line of the guest, or that nobody read in time."""
        self._loop.add_reader(stream.fileno(), self._pump)

    @property
    def held_bytes(self) -> int:
        """Bytes that are kept for a reader, wherever they are."""
        return self._unclaimed + self._waiting_bytes + len(self._partial)

    def _pump(self) -> None:
        """Take everything that has arrived."""
        while not self.closed:
            try:
                data = self._stream.recv(_CHUNK_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            if not data:
                self._end()
                return
            self.received_bytes += len(data)
            self._tail.append(data[-TAIL_BYTES:])
            self._take(data)

    def _take(self, data: bytes) -> None:
        """Keep whole lines for a reader. Bytes may arrive one at a time."""
        self._partial += data
        whole = self._partial.rfind(b"\n") + 1
        if whole:
            ready, self._partial = self._partial[:whole], self._partial[whole:]
            self._copy(ready)
            self._waiting.append((ready, self._clock.now_ns()))
            self._waiting_bytes += whole
            while self._waiting_bytes > WINDOW_BYTES and len(self._waiting) > 1:
                oldest, _ = self._waiting.popleft()
                self._waiting_bytes -= len(oldest)
                self.dropped_bytes += len(oldest)
            self._wake()
        elif len(self._partial) > WINDOW_BYTES:
            excess = len(self._partial) - WINDOW_BYTES // 2
            self._copy(self._partial[:excess])
            self._partial = self._partial[excess:]
            self.dropped_bytes += excess

    def _wake(self) -> None:
        """Wake the reader, if there is one."""
        if self._arrival and not self._arrival.done():
            self._arrival.set_result(None)

    async def next_line(self, within_ns: int) -> tuple[int, Line, int] | None:
        """Wait for the next line of the guest.

        Everything that arrived in time is read, however long that takes.

        Args:
            within_ns: how long to wait for bytes to arrive, in the host's time.

        Returns:
            The vCPU, its line, and when the line arrived, by the host's clock; None if none
            came in time.

        Raises:
            ConsoleClosedError: the stream ended.
        """
        until_ns = self._clock.now_ns() + within_ns
        while True:
            if self._unclaimed:
                if said := await self._claim():
                    return *said, self._fed_ns
            elif self._waiting:
                if self._waiting[0][1] > until_ns + GRACE_NS:
                    return None
                self._feed_pexpect()
            elif self.closed:
                raise ConsoleClosedError
            elif not await self._arrived(until_ns - self._clock.now_ns()):
                return None

    async def _arrived(self, within_ns: int) -> bool:
        """Wait for whole lines, or the end of the stream; return False if none came."""
        self._arrival = self._loop.create_future()
        try:
            async with self._clock.deadline(max(0, within_ns)):
                await self._arrival
        except TimeoutError:
            return bool(self._waiting)
        return True

    def _feed_pexpect(self) -> None:
        """Give pexpect the oldest piece."""
        piece, self._fed_ns = self._waiting.popleft()
        self._unclaimed = self._feed.send(piece)
        self._waiting_bytes -= self._unclaimed
        if self._unclaimed < len(piece):
            self._waiting.appendleft((piece[self._unclaimed :], self._fed_ns))

    async def _claim(self) -> tuple[int, Line] | None:
        """Let pexpect match the next line; return it if it is a line of the guest."""
        if self._spawn.match is None:  # else the caller that it was found for was cancelled
            await self._match()
        match, found = cast(re.Match[bytes], self._spawn.match), self._spawn.match_index
        self._spawn.match = None
        self._unclaimed -= match.end()
        if self._stale:
            self._stale = max(0, self._stale - match.end())
            return None
        if found != 0:
            self.dropped_bytes += match.end()
            return None
        self.dropped_bytes += match.start()
        said = self._reader.parse(match)
        self.garbled += said is None
        return said

    async def _match(self) -> None:
        """Wait until pexpect has found a line of any kind."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._expect())
        if not self._connecting.done():
            await asyncio.shield(self._connecting)
        else:
            await self._expect()

    async def _expect(self) -> None:
        await self._spawn.expect_list(self._patterns, timeout=None, async_=True)

    def drain(self) -> int:
        """Throw away everything that has arrived; return how many bytes nobody had read.

        While the vCPUs are stopped this is everything that was printed so far: lines
        that come later were printed later.
        """
        self._pump()
        unread = self.held_bytes - self._stale
        self._copy_partial()
        self._waiting.clear()
        self._waiting_bytes, self._stale = 0, self._unclaimed
        return unread

    def _copy_partial(self) -> None:
        """Copy the beginning of a line whose end will not be read."""
        self._copy(self._partial)
        self._partial = b""

    def tail(self) -> bytes:
        """Return the last bytes that arrived."""
        return b"".join(self._tail)[-TAIL_BYTES:]

    def _end(self) -> None:
        """Stop reading; what has arrived can still be read."""
        if not self.closed:
            self.closed = True
            self._loop.remove_reader(self._stream.fileno())
            self._copy_partial()
            self._wake()

    async def close(self) -> None:
        """Stop reading, and close both ends of the socketpair."""
        self._end()
        self._feed.close()
        if self._closing is None:
            self._closing = asyncio.create_task(self._close_spawn())
        await asyncio.shield(self._closing)

    async def _close_spawn(self) -> None:
        """Let pexpect see the end of its stream: its transport then closes the stream."""
        if self._connecting:
            await self._connecting
        if not self._spawn.flag_eof:
            await self._spawn.expect([EOF], timeout=None, async_=True)
        self._spawn.close()


def _other_line(line: re.Pattern[bytes]) -> re.Pattern[bytes]:
    """Return a pattern of lines that hold no line of the guest, so that pexpect drops them."""
    return re.compile(rb"(?m:^)(?:(?!" + line.pattern + rb")[^\n])*\n", line.flags)
