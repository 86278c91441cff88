"""A guest's console: each vCPU prints to a port of its own, or all of them share one."""

import collections
import socket
from collections.abc import Sequence

from orchestrator.clock import Clock
from orchestrator.guest.lines import Line
from orchestrator.guest.protocol import LineReader
from orchestrator.vm.port import Port
from orchestrator.vm.tee import Tee

#: Lines of a vCPU that are kept while another one is listened to. The longest wait is far shorter
#: than so many of the shortest periods.
MOST_LINES = 100_000


class Console:
    """The ports of one guest."""

    def __init__(
        self,
        streams: Sequence[socket.socket],
        clock: Clock,
        reader: LineReader,
        tee: Tee | None = None,
    ) -> None:
        """Begin to read.

        Args:
            streams: one for each vCPU, in their order, or one for all.
            clock: timestamps the lines.
            reader: knows the form of the guest's lines.
            tee: a file that gets everything the guest prints.
        """
        self._clock = clock
        self._tee = tee
        self.tee_error: OSError | None = None
        """Why the copy in the tee file ends early; None if it does not."""
        self._ports = [Port(stream, clock, reader, self._copy) for stream in streams]
        self._put_aside: collections.defaultdict[int, collections.deque[tuple[Line, int]]] = (
            collections.defaultdict(lambda: collections.deque(maxlen=MOST_LINES))
        )

    def _copy(self, data: bytes) -> None:
        """Copy what has arrived to the tee file. A full disk ends the copy, not the watch."""
        if self._tee and self.tee_error is None:
            try:
                self._tee.write(data)
            except OSError as error:
                self.tee_error = error

    async def next_line(self, within_ns: int, vcpu: int = 0) -> tuple[Line, int] | None:
        """Wait for the next line of a vCPU. Lines of other vCPUs are kept for later calls.

        Args:
            within_ns: how long to wait, in the host's time.
            vcpu: whose line.

        Returns:
            The line and when it arrived, by the host's clock; None if none came in time.

        Raises:
            ConsoleClosedError: the stream ended.
        """
        until_ns = self._clock.now_ns() + within_ns
        kept, port = self._put_aside[vcpu], self._ports[vcpu % len(self._ports)]
        while not kept:
            said = await port.next_line(until_ns - self._clock.now_ns())
            if said is None:
                return None
            speaker, line, at_ns = said
            self._put_aside[speaker].append((line, at_ns))
        return kept.popleft()

    def drain(self) -> int:
        """Throw away everything that has arrived; return how many bytes nobody had read.

        While the vCPUs are stopped this is everything that was printed so far: lines
        that come later were printed later.
        """
        self._put_aside.clear()
        return sum(port.drain() for port in self._ports)

    @property
    def received_bytes(self) -> int:
        """Bytes that have arrived."""
        return sum(port.received_bytes for port in self._ports)

    @property
    def garbled(self) -> int:
        """Lines of the guest's form with a wrong checksum."""
        return sum(port.garbled for port in self._ports)

    @property
    def dropped_bytes(self) -> int:
        """Bytes that were no line of the guest, or that nobody read in time."""
        return sum(port.dropped_bytes for port in self._ports)

    def tail(self) -> bytes:
        """Return the last bytes seen, port by port."""
        return b"".join(port.tail() for port in self._ports)

    def release_tee(self) -> Tee | None:
        """Give up the tee file, still open, so that another console can go on with it."""
        tee, self._tee = self._tee, None
        return tee

    async def close(self) -> None:
        """Stop reading."""
        for port in self._ports:
            await port.close()
        if self._tee:
            try:
                self._tee.close()
            except OSError as error:
                self.tee_error = error
            self._tee = None
