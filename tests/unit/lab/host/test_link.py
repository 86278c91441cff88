"""The frames of the line to a lab's agent, and the clock that they carry."""

import asyncio
import errno
import os
import shutil
import signal
import socket
import subprocess
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cache.program import shipped, static_program
from orchestrator.clock import Deadlines
from orchestrator.lab.host.link import Decoder, Frame, LabClock, Link, LinkError, encode
from tests.support.needs import Need, lacking


def frame(kind: bytes, payload: bytes) -> bytes:
    return encode(kind, 1, payload)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.integers(1, 7))
def test_frames_survive_any_cutting(payloads: list[bytes], size: int) -> None:
    stream = b"".join(frame(b"q", payload) for payload in payloads)
    decoder = Decoder()
    heard = [f for i in range(0, len(stream), size) for f in decoder.feed(stream[i : i + size])]
    assert heard == [Frame(b"q", 1, 0, payload) for payload in payloads]


@given(st.binary(min_size=1, max_size=40), st.integers(0), st.integers(0, 7))
def test_a_flipped_bit_is_never_taken_for_a_frame(payload: bytes, at: int, bit: int) -> None:
    stream = bytearray(frame(b"o", payload))
    stream[at % len(stream)] ^= 1 << bit
    try:
        heard = Decoder().feed(bytes(stream))
    except LinkError:
        return
    assert heard == []  # a longer length: it waits for the rest


async def test_the_clock_draws_on_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = [100.0]
    monkeypatch.setattr("orchestrator.lab.host.link.time.monotonic", lambda: wall[0])
    clock = LabClock(patience_s=50)
    clock.tell(5_000_000_000)
    for _ in range(50):
        wall[0] += 0.1
        clock.tell(int(5e9 + (wall[0] - 100) * 3e9))
    assert clock.speed == pytest.approx(3, rel=0.01)
    async with clock.deadline(3_000_000_000) as timeout:
        until = timeout.when()
        assert until is not None
        assert until - wall[0] == pytest.approx(1 + 50, rel=0.01)
    told = clock.now_ns()  # nothing has passed since its last word
    wall[0] += 0.01
    assert clock.now_ns() - told == pytest.approx(30_000_000, rel=0.01)
    wall[0] += 10
    assert clock.now_ns() - told == LabClock.BEYOND_NS


async def test_a_deadline_follows_what_the_agent_says() -> None:
    loop, clock = asyncio.get_running_loop(), LabClock(patience_s=100)
    clock.tell(1_000_000_000_000)
    with pytest.raises(TimeoutError):
        async with clock.deadline(2_000_000_000_000) as timeout:  # 1000 s of ours, by the speed
            first_s = timeout.when()
            assert first_s is not None
            assert first_s - loop.time() == pytest.approx(1100, abs=1)
            clock.tell(1_001_000_000_000)  # a second more: half a second less to wait
            assert timeout.when() == pytest.approx(first_s - 0.5, abs=0.2)
            clock.tell(1_001_000_000_000)  # it stands still: the end moves away
            clock.tell(3_001_000_000_000)  # the time is up
            await loop.create_future()
    assert not clock._deadlines
    clock.tell(3_002_000_000_000)  # nobody waits any more
    await clock.sleep(1_000)


async def test_a_stalled_host_ends_no_deadline_before_the_agent_says_so() -> None:
    """On a busy host, the lab may get no time at all: nobody knows how far it has come."""
    clock = LabClock(patience_s=60)
    clock.tell(1_000_000_000)
    with pytest.raises(TimeoutError):
        async with clock.deadline(20_000_000) as timeout:  # 10 ms of ours, by the speed
            await asyncio.sleep(0.1)
            assert not timeout.expired()
            clock.tell(1_019_000_000)
            await asyncio.sleep(0)
            assert not timeout.expired()
            clock.tell(1_021_000_000)
            await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("ends", [True, False])
async def test_a_lab_that_is_stuck_or_gone_ends_a_deadline(*, ends: bool) -> None:
    clock = LabClock(patience_s=60 if ends else 0.05)
    clock.tell(1_000_000_000)
    async with asyncio.timeout(10):
        with pytest.raises(TimeoutError):
            async with clock.deadline(20_000_000):
                if ends:
                    clock.stop()
                await asyncio.get_running_loop().create_future()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """The real agent, on a pseudo-terminal of this machine."""
    if shutil.which("cc") is None and shutil.which("gcc") is None:
        lacking(Need.COMPILER, "apt-get install gcc libc6-dev")
    program = static_program(shipped("agent.c"), tmp_path)
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    with subprocess.Popen(
        [program, os.ttyname(theirs), "token"],
        stdout=subprocess.PIPE, text=True, process_group=0,
    ) as process:  # fmt: skip
        yield ours, process
        os.killpg(process.pid, signal.SIGKILL)
    os.close(ours)
    os.close(theirs)


class Heard:
    """The frames that come from the agent; what is read beyond an answer waits for the next."""

    def __init__(self, line: int) -> None:
        self._line, self._decoder, self._frames = line, Decoder(), list[Frame]()

    def up_to(self, kind: bytes) -> list[Frame]:
        """Return the frames up to the first of a kind, without signs of life."""
        while not any(frame.kind == kind for frame in self._frames):
            read = self._decoder.feed(os.read(self._line, 65536))
            self._frames += [frame for frame in read if frame.kind != b"t"]
        end = next(n for n, frame in enumerate(self._frames, 1) if frame.kind == kind)
        heard, self._frames = self._frames[:end], self._frames[end:]
        return heard


def test_the_agent_answers_in_order(
    agent: tuple[int, "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    line, _ = agent
    heard = Heard(line)
    (hello,) = heard.up_to(b"h")
    assert hello.payload == b"token"
    (tmp_path / "file").write_bytes(content := bytes(range(256)) * 40)
    os.write(line, encode(b"R", 2, str(tmp_path / "file").encode()))
    *parts, end = heard.up_to(b"r")
    assert b"".join(part.payload for part in parts) == content
    assert end.payload == b"0 "
    assert {frame.qemu for frame in (*parts, end)} == {2}
    assert [f.time_ns for f in (*parts, end)] == sorted(f.time_ns for f in (*parts, end))
    os.write(line, encode(b"R", 0, str(tmp_path / "none").encode()))
    (answer,) = heard.up_to(b"r")
    assert answer.payload == f"{errno.ENOENT} ".encode()


def test_the_agent_gives_up_on_a_garbled_line(
    agent: tuple[int, "subprocess.Popen[str]"],
) -> None:
    line, process = agent
    Heard(line).up_to(b"h")
    broken = bytearray(encode(b"R", 0, b"/etc/hostname"))
    broken[-1] ^= 1
    os.write(line, broken)
    assert process.wait(10) == 3
    assert process.stdout is not None
    assert process.stdout.readline() == "LAB failed the line to the harness: a broken frame\n"


async def test_what_was_asked_of_a_lab_that_hangs_up_fails() -> None:
    ours, theirs = socket.socketpair()
    lost: list[str] = []
    loop = asyncio.get_running_loop()
    _, link = await loop.create_connection(
        lambda: Link(
            lambda link, token: None, lambda frame: None, lambda link, why: lost.append(why)
        ),
        sock=ours,
    )
    asked = asyncio.create_task(link.ask(b"R", 0, b"/proc/uptime"))
    await asyncio.sleep(0)
    theirs.close()
    with pytest.raises(LinkError, match="closed"):
        await asked
    with pytest.raises(LinkError, match="closed"):
        await link.ask(b"R", 0, b"/proc/uptime")
    assert len(lost) == 1


@pytest.mark.parametrize(
    ("speaks", "words"),
    [
        (True, "the lab's agent did not answer in 0.1 s of its time"),
        (False, "Run it again while this computer is less busy, or with --parallel 1"),
    ],
)
async def test_an_agent_that_says_nothing_is_told_from_one_that_does_not_answer(
    speaks: bool, words: str
) -> None:
    ours, theirs = socket.socketpair()
    deadlines = Deadlines(lab_silence_ns=200_000_000, lab_answer_ns=100_000_000)
    _, link = await asyncio.get_running_loop().create_connection(
        lambda: Link(lambda *_: None, lambda frame: None, lambda *_: None, deadlines), sock=ours
    )
    link.clock.tell(1_000_000_000)
    asked = asyncio.create_task(link.ask(b"R", 0, b"/proc/uptime"))
    await asyncio.sleep(0)
    if speaks:
        link.clock.tell(1_200_000_000)
    async with asyncio.timeout(30):
        with pytest.raises(LinkError, match=words):
            await asked
    link.close()
    theirs.close()
