"""An agent that says anything at all: each frame is taken, or the line ends with a reason."""

import asyncio
import contextlib
import os

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orchestrator.lab.host.frames import KINDS, QEMUS, FrameError, LinkError, encode
from orchestrator.lab.host.link import Link
from orchestrator.lab.host.process import LabQemu
from orchestrator.lab.host.programs import Programs
from tests.support.transport import Transport

#: Frames of the agent's own kinds, whose payloads may make no sense.
FRAMES = st.builds(
    encode,
    st.sampled_from([bytes([kind]) for kind in KINDS]),
    st.integers(0, QEMUS - 1),
    st.one_of(
        st.binary(max_size=40),
        st.integers(-(2**70), 2**70).map(lambda number: b"%d" % number),
        st.integers(-(2**12), 2**13).map(lambda number: b"%d " % number),
    ),
)


def flipped(stream: bytes, at: int, bit: int) -> bytes:
    """Return a stream with one bit flipped."""
    changed = bytearray(stream)
    if changed:
        changed[at % len(changed)] ^= 1 << bit
    return bytes(changed)


STREAMS = st.one_of(
    st.lists(FRAMES, max_size=8).map(b"".join),
    st.builds(
        flipped, st.lists(FRAMES, max_size=8).map(b"".join), st.integers(0), st.integers(0, 7)
    ),
    st.lists(st.one_of(FRAMES, st.binary(max_size=20)), max_size=8).map(b"".join),
)


async def hear(stream: bytes, size: int, asked: int) -> None:
    lost: list[LinkError] = []
    programs = Programs()
    link = Link(lambda: None, programs.hear, lost.append)
    link.connection_made(Transport())
    link.data_received(encode(b"h", 0, b""))
    program = LabQemu(None, link, 1)  # type: ignore[arg-type]  # it asks nothing of its lab
    programs.running[1] = program
    answers = [asyncio.create_task(link.ask(b"R", 0, b"/proc/uptime")) for _ in range(asked)]
    await asyncio.sleep(0)
    for at in range(0, len(stream), size):
        link.data_received(stream[at : at + size])
    if not lost:
        link.connection_lost(None)
    else:
        assert isinstance(lost[0], FrameError)
    assert len(lost) == 1
    for answer in answers:
        with contextlib.suppress(LinkError, OSError):
            assert isinstance(await answer, bytes)
    for stream_end in (
        program.qmp,
        program._qmp_theirs,
        *program.consoles,
        program._console_theirs,
    ):
        stream_end.close()


@settings(
    max_examples=int(os.environ.get("LOSTTICK_TEST_FUZZ", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(STREAMS, st.integers(1, 50), st.integers(0, 3))
@example(encode(b"r", 0, b"0 "), 20, 0)  # an answer that nobody waits for
@example(encode(b"r", 0, b"no number"), 20, 1)
@example(encode(b"r", 0, b"9" * 30 + b" "), 20, 1)
@example(encode(b"x", 1, b""), 20, 0)
@example(encode(b"x", 9, b"0"), 20, 0)
def test_whatever_an_agent_says_is_taken_or_ends_the_line(
    stream: bytes, size: int, asked: int
) -> None:
    asyncio.run(hear(stream, size, asked))
