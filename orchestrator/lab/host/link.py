"""The serial line to a lab's agent (images/lab/agent.c): frames with a checksum, in order.

Everything shares one line, so that events arrive in the order in which they happened. Each frame
carries the time of the lab's own clock.
"""

import asyncio
import collections
import contextlib
import os
import socket
import struct
import time
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from orchestrator.clock import DEFAULT_DEADLINES, Deadlines
from orchestrator.errors import InfraError

_HEADER = struct.Struct("<cBHQ")


_SUM = struct.Struct("<I")


#: Longest payload of a frame to the agent.
PAYLOAD_BYTES = 4096


class LinkError(InfraError):
    """The agent can't be reached any more, or its frames are garbled."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A message of the agent."""

    kind: bytes
    qemu: int
    time_ns: int
    """The lab's CLOCK_MONOTONIC."""
    payload: bytes


def encode(kind: bytes, qemu: int, payload: bytes) -> bytes:
    """Return a frame to the agent."""
    frame = _HEADER.pack(kind, qemu, len(payload), 0) + payload
    return frame + _SUM.pack(zlib.crc32(frame))


class Decoder:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that are whole now.

        Raises:
            LinkError: a checksum is wrong: nothing after it can be trusted.
        """
        rest, frames = self._rest + data, []
        while len(rest) >= _HEADER.size:
            kind, qemu, size, time_ns = _HEADER.unpack_from(rest)
            end = _HEADER.size + size
            if len(rest) < end + _SUM.size:
                break
            if _SUM.unpack_from(rest, end)[0] != zlib.crc32(rest[:end]):
                raise LinkError("hearing the lab's agent: a frame with a wrong checksum")
            frames.append(Frame(kind, qemu, time_ns, rest[_HEADER.size : end]))
            rest = rest[end + _SUM.size :]
        self._rest = rest
        return frames


class LabClock:
    """The lab's clock: the agent's last word, extrapolated for a moment.

    The agent keeps the emulated machine from idling, so that the lab's clock runs evenly: about
    two of its seconds in one second of this host.
    """

    #: How far the time is extrapolated past the agent's last word.
    BEYOND_NS = 100_000_000
    #: Length of the spans, in seconds of this host, over which the speed is measured.
    SPAN_S = 0.05
    #: Weight of the newest measurement.
    WEIGHT = 0.5

    def __init__(self, patience_s: float = DEFAULT_DEADLINES.lab_silence_ns / 1e9) -> None:
        """Begin.

        Args:
            patience_s: seconds of this host, past the likely end of a deadline, for which the
                agent may say nothing before the deadline is over.
        """
        self._patience_s = patience_s
        self.speed = 2.0
        """Nanoseconds of the lab in one nanosecond of this host."""
        self._told = (0, time.monotonic())
        self._measured_from = self._told
        self._deadlines: dict[asyncio.Timeout, int] = {}
        self._sleeps: dict[asyncio.Timeout, int] = {}

    def tell(self, now_ns: int) -> None:
        """Take note of the lab's time."""
        wall = time.monotonic()
        self._told = (now_ns, wall)
        before_ns, before = self._measured_from
        if before_ns == 0:
            self._measured_from = self._told
        elif wall - before >= self.SPAN_S:
            ratio = (now_ns - before_ns) / 1e9 / (wall - before)
            self.speed += self.WEIGHT * (min(max(ratio, 0.1), 10) - self.speed)
            self._measured_from = self._told
        self._correct_deadlines()

    @property
    def told_ns(self) -> int:
        """The lab's monotonic nanoseconds as the agent told them last."""
        return self._told[0]

    def now_ns(self) -> int:
        """Return the lab's monotonic nanoseconds."""
        told_ns, wall = self._told
        return told_ns + min(int((time.monotonic() - wall) * 1e9 * self.speed), self.BEYOND_NS)

    async def sleep(self, ns: int) -> None:
        """Wait until about `ns` nanoseconds of the lab's time have passed."""
        due_ns = self.now_ns() + ns
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ns / 1e9 / self.speed) as timeout:
                self._sleeps[timeout] = due_ns
                try:
                    await asyncio.get_running_loop().create_future()
                finally:
                    del self._sleeps[timeout]

    @contextlib.asynccontextmanager
    async def deadline(self, ns: int) -> AsyncIterator[asyncio.Timeout]:
        """Give a context that may last about `ns` nanoseconds of the lab's time.

        The time is up when the agent says so: on a busy host, nobody knows how much of it has
        passed before. An agent that says nothing at all ends the context, too.
        """
        due_ns = self.now_ns() + ns
        async with asyncio.timeout(ns / 1e9 / self.speed + self._patience_s) as timeout:
            self._deadlines[timeout] = due_ns
            try:
                yield timeout
            finally:
                del self._deadlines[timeout]

    def stop(self) -> None:
        """Wait for no word of the agent any more: it has none."""
        self._patience_s = 0.0
        self._correct_deadlines()

    def _correct_deadlines(self) -> None:
        """Correct when time will be up: the lab's speed changes with what the lab does."""
        now_ns, now_s = self.now_ns(), asyncio.get_running_loop().time()
        for waiting, patience_s in ((self._sleeps, 0.0), (self._deadlines, self._patience_s)):
            for timeout, due_ns in waiting.items():
                if timeout.expired():
                    continue
                left_s = (due_ns - now_ns) / 1e9 / self.speed
                timeout.reschedule(now_s + left_s + (patience_s if left_s > 0 else 0))


class Link(asyncio.Protocol):
    """The connected line."""

    def __init__(
        self,
        on_hello: Callable[["Link", bytes], None],
        on_frame: Callable[[Frame], None],
        on_lost: Callable[["Link", str], None],
        deadlines: Deadlines = DEFAULT_DEADLINES,
    ) -> None:
        """Prepare; asyncio connects it.

        Args:
            on_hello: called with the token of the agent's first frame.
            on_frame: called with each frame that answers no request.
            on_lost: called, with the reason, once the line can't be used any more.
            deadlines: how long an answer may take.
        """
        self.clock = LabClock(deadlines.lab_silence_ns / 1e9)
        self._answer_ns = deadlines.lab_answer_ns
        self._on_hello = on_hello
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._decoder = Decoder()
        self._transport: asyncio.Transport | None = None
        self._waiting: collections.deque[asyncio.Future[bytes]] = collections.deque()
        self._parts: list[bytes] = []
        self._lost: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the line."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._socket = transport.get_extra_info("socket")
        self._tcp = self._socket.family in (socket.AF_INET, socket.AF_INET6)
        if self._tcp:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Hear the agent."""
        # The emulator sends single bytes, and waits after the first for our ACK (Nagle),
        # which the kernel would delay by 40 ms. This has to be said again and again.
        if self._tcp:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        try:
            frames = self._decoder.feed(data)
        except LinkError as error:
            self._lose(str(error))
            return
        for frame in frames:
            self.clock.tell(frame.time_ns)
            if frame.kind == b"h":
                self._on_hello(self, frame.payload)
            elif frame.kind == b"d":
                self._parts.append(frame.payload)
            elif frame.kind == b"r":
                self._answered(frame.payload)
            else:
                self._on_frame(frame)

    def _answered(self, payload: bytes) -> None:
        parts, self._parts = b"".join(self._parts), []
        answer = self._waiting.popleft()
        error, _, value = payload.partition(b" ")
        if answer.done():
            return
        if int(error):
            answer.set_exception(OSError(int(error), os.strerror(int(error))))
        else:
            answer.set_result(parts or value)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note its end."""
        self._lose(f"the line to the lab's agent is closed{f' ({exc})' if exc else ''}")

    def _lose(self, why: str) -> None:
        if self._lost is None:
            self._lost = why
            self.clock.stop()
            for answer in self._waiting:
                if not answer.done():
                    answer.set_exception(LinkError(why))
            self._on_lost(self, why)
            self.close()

    def send(self, kind: bytes, qemu: int, payload: bytes) -> None:
        """Send a message that has no answer."""
        if self._transport and not self._transport.is_closing():
            for start in range(0, len(payload) or 1, PAYLOAD_BYTES):
                part = payload[start : start + PAYLOAD_BYTES]
                self._transport.write(encode(kind, qemu, part))

    async def ask(self, kind: bytes, qemu: int, payload: bytes) -> bytes:
        """Send a request and return its answer.

        Raises:
            OSError: as it happened in the lab.
            LinkError: no answer.
        """
        if self._lost is not None or self._transport is None:
            raise LinkError(self._lost or "the lab's agent has not said hello")
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        began_ns = self.clock.told_ns
        self._transport.write(encode(kind, qemu, payload))
        try:
            async with self.clock.deadline(self._answer_ns):
                return await answer
        except TimeoutError:
            limit = f"{self._answer_ns / 1e9:g} s"
            if self.clock.told_ns - began_ns >= self._answer_ns // 2:
                raise LinkError(f"the lab's agent did not answer in {limit} of its time") from None
            raise LinkError(
                "the lab's agent said nothing for too long: its emulator is stuck, or gets no CPU. "
                "Run it again while this computer is less busy, or with --parallel 1"
            ) from None

    def close(self) -> None:
        """Hang up."""
        if self._transport:
            self._transport.close()
