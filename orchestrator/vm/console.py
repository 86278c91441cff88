"""What a guest says: each of its vCPUs to a port of its own, or all of them to one."""

import asyncio
import collections
import socket
from collections.abc import Sequence
from typing import BinaryIO

from orchestrator.clock import Clock
from orchestrator.guest.lines import Line
from orchestrator.guest.protocol import LineReader
from orchestrator.vm.port import Port


class Console:
    """The ports of one guest."""

    def __init__(
        self,
        streams: Sequence[socket.socket],
        clock: Clock,
        reader: LineReader,
        tee: BinaryIO | None = None,
    ) -> None:
        """Begin to read.

        Args:
            streams: one for each vCPU, in their order, or one for all.
            clock: by which lines arrive.
            reader: knows the form of the guest's lines.
            tee: a file that gets all that is said.
        """
        self._tee = tee
        self.tee_error: OSError | None = None
        """Why the copy in the tee file ends early, if it does."""
        self._ports = [Port(stream, clock, reader, self._copy) for stream in streams]
        self._put_aside: collections.defaultdict[int, collections.deque[tuple[Line, int]]] = (
            collections.defaultdict(collections.deque)
        )

    def _copy(self, data: bytes) -> None:
        """Tee what has come; a full disk ends the copy, not the watch."""
        if self._tee and self.tee_error is None:
            try:
                self._tee.write(data)
            except OSError as error:
                self.tee_error = error

    async def next_line(self, timeout_s: float, vcpu: int = 0) -> tuple[Line, int] | None:
        """Wait for the next line of a vCPU. Those of others are kept for whoever asks.

        Returns:
            The line and when it arrived, in the host's nanoseconds; None if none came in time.

        Raises:
            ConsoleClosed: its stream ended.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        kept, port = self._put_aside[vcpu], self._ports[vcpu % len(self._ports)]
        while not kept:
            said = await port.next_line(max(0, deadline - loop.time()))
            if said is None:
                return None
            speaker, line, at_ns = said
            self._put_aside[speaker].append((line, at_ns))
        return kept.popleft()

    def drain(self) -> int:
        """Throw away all that has arrived so far; return how many bytes nobody had looked at.

        In a stopped instance this is the whole of the past: what comes later was
        printed later.
        """
        self._put_aside.clear()
        return sum(port.drain() for port in self._ports)

    @property
    def received_bytes(self) -> int:
        """Bytes that have arrived."""
        return sum(port.received_bytes for port in self._ports)

    @property
    def garbled(self) -> int:
        """Lines whose form fitted but whose checksum did not."""
        return sum(port.garbled for port in self._ports)

    @property
    def dropped_bytes(self) -> int:
        """Bytes dropped because no pattern claimed them before the window was full."""
        return sum(port.dropped_bytes for port in self._ports)

    def tail(self) -> bytes:
        """Return the last bytes seen, port by port."""
        return b"".join(port.tail() for port in self._ports)

    def release_tee(self) -> BinaryIO | None:
        """Give up the tee file, still open: another console goes on with it."""
        tee, self._tee = self._tee, None
        return tee

    def close(self) -> None:
        """Stop reading."""
        for port in self._ports:
            port.close()
        if self._tee:
            try:
                self._tee.close()
            except OSError as error:
                self.tee_error = error
            self._tee = None
