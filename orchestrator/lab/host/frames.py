"""The frames in which a lab's agent (images/lab/agent.c) speaks, and their checks.

The kernel under test runs the agent. So no frame is trusted to be well-formed.
"""

import re
import struct
import zlib
from dataclasses import dataclass

from orchestrator.errors import InfraError

_HEADER = struct.Struct("<cBHQ")


_SUM = struct.Struct("<I")


#: Longest payload of a frame, in both directions.
PAYLOAD_BYTES = 4096


#: Programs that the agent can run at a time.
QEMUS = 4


#: Kinds of frame that the agent sends.
KINDS = b"hdrqoext"


class LinkError(InfraError):
    """The agent can't be reached any more."""

    def __init__(self, seen: str, *, transient: bool = False) -> None:
        """Build the message.

        Args:
            seen: what happened, for a person.
            transient: whether the lab got no CPU for its answer.
        """
        self._transient = transient
        super().__init__(seen)

    @property
    def transient(self) -> bool:
        """True if this computer had no time for the lab at the moment."""
        return self._transient


class FrameError(LinkError):
    """A frame of the agent is garbled, so that nothing after it can be trusted."""

    def __init__(self, seen: str) -> None:
        super().__init__(f"hearing the lab's agent: {seen}")


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


def small_number(said: bytes, least: int, most: int) -> int:
    """Return a decimal number of the agent.

    Raises:
        FrameError: this is none, or none in these bounds.
    """
    if not re.fullmatch(rb"-?[0-9]{1,9}", said) or not least <= int(said) <= most:
        raise FrameError(f"{said[:40]!r} is no number from {least} to {most}")
    return int(said)


class Decoder:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that are whole now.

        Raises:
            FrameError: the agent sends no such frame, or its checksum is wrong.
        """
        rest, frames = self._rest + data, []
        while len(rest) >= _HEADER.size:
            kind, qemu, size, time_ns = _HEADER.unpack_from(rest)
            if kind not in KINDS or qemu >= QEMUS or size > PAYLOAD_BYTES:
                raise FrameError(f"no frame begins with {rest[: _HEADER.size].hex(' ')}")
            end = _HEADER.size + size
            if len(rest) < end + _SUM.size:
                break
            if _SUM.unpack_from(rest, end)[0] != zlib.crc32(rest[:end]):
                raise FrameError("a frame has a wrong checksum")
            frames.append(Frame(kind, qemu, time_ns, rest[_HEADER.size : end]))
            rest = rest[end + _SUM.size :]
        self._rest = rest
        return frames
