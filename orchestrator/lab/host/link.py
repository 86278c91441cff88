"""The serial line to a lab's agent (images/lab/agent.c): frames with a checksum, in order.

Everything shares one line, so that events arrive in the order in which they happened. Each frame
carries the time of the lab's own clock. The line is a pair of sockets that only losttick and the
emulator hold: no other program can reach it.
"""

import asyncio
import collections
import os
from collections.abc import Callable

from orchestrator.clock import DEFAULT_DEADLINES, Deadlines
from orchestrator.lab.host.clock import LabClock
from orchestrator.lab.host.frames import (
    PAYLOAD_BYTES,
    Decoder,
    Frame,
    FrameError,
    LinkError,
    encode,
    small_number,
)

#: Largest errno of Linux.
_MAX_ERRNO = 4095

#: Longest answer: no file in a lab's memory is as large.
ANSWER_BYTES = 1 << 30


class Link(asyncio.Protocol):
    """The connected line."""

    def __init__(
        self,
        on_hello: Callable[[], None],
        on_frame: Callable[[Frame], None],
        on_lost: Callable[[LinkError], None],
        deadlines: Deadlines = DEFAULT_DEADLINES,
        excuse: Callable[[], str] = str,
    ) -> None:
        """Prepare; asyncio connects it.

        Args:
            on_hello: called at the agent's first frame.
            on_frame: called with each frame that answers no request. It may raise FrameError.
            on_lost: called, with the reason, once the line can't be used any more.
            deadlines: how long an answer may take.
            excuse: returns for how long the lab waited for a CPU of this computer, and what to
                do; empty if it did not.
        """
        self.clock = LabClock(deadlines.lab_silence_ns / 1e9)
        self._answer_ns = deadlines.lab_answer_ns
        self._on_hello = on_hello
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._excuse = excuse
        self._decoder = Decoder()
        self._transport: asyncio.Transport | None = None
        self._waiting: collections.deque[asyncio.Future[bytes]] = collections.deque()
        self._parts: list[bytes] = []
        self._part_bytes = 0
        self._greeted = False
        self._lost: LinkError | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the line."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Hear the agent."""
        if self._lost is not None:
            return
        try:
            for frame in self._decoder.feed(data):
                self._hear(frame)
        except FrameError as error:
            self._lose(error)

    def _hear(self, frame: Frame) -> None:
        """Take a frame.

        Raises:
            FrameError: the agent says no such thing now.
        """
        if (frame.kind == b"h") is self._greeted:
            raise FrameError("it says hello again" if self._greeted else "it has not said hello")
        self.clock.tell(frame.time_ns)
        if frame.kind == b"h":
            self._greeted = True
            self._on_hello()
        elif frame.kind == b"d":
            self._waited_for()
            self._parts.append(frame.payload)
            self._part_bytes += len(frame.payload)
            if self._part_bytes > ANSWER_BYTES:
                raise FrameError(f"an answer is longer than {ANSWER_BYTES >> 20} MiB")
        elif frame.kind == b"r":
            self._answered(frame.payload)
        else:
            self._on_frame(frame)

    def _waited_for(self) -> asyncio.Future[bytes]:
        """Return the request that the agent answers now."""
        if not self._waiting:
            raise FrameError("it answers, and nothing was asked")
        return self._waiting[0]

    def _answered(self, payload: bytes) -> None:
        answer = self._waited_for()
        error, _, value = payload.partition(b" ")
        code = small_number(error, 0, _MAX_ERRNO)
        parts, self._parts, self._part_bytes = b"".join(self._parts), [], 0
        self._waiting.popleft()
        if answer.done():
            return
        if code:
            answer.set_exception(OSError(code, os.strerror(code)))
        else:
            answer.set_result(parts or value)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note its end."""
        said = f"the line to the lab's agent is closed{f' ({exc})' if exc else ''}"
        self._lose(LinkError(said))

    def _lose(self, error: LinkError) -> None:
        if self._lost is None:
            self._lost = error
            self.clock.stop()
            for answer in self._waiting:
                if not answer.done():
                    answer.set_exception(LinkError(str(error)))
            self._on_lost(error)
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
            raise LinkError(str(self._lost or "the lab's agent has not said hello"))
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
            said = "the lab's agent said nothing, or its clock stood still, for too long"
            if excuse := self._excuse():
                raise LinkError(f"{said}{excuse}", transient=True) from None
            raise LinkError(
                f"{said}: its "
                "emulator is stuck, or gets no CPU. Run it again while this computer is less busy, "
                "or with --parallel 1"
            ) from None

    def close(self) -> None:
        """Hang up."""
        if self._transport:
            self._transport.close()
