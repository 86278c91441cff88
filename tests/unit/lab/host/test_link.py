"""The line to a lab's agent: requests and answers, and an agent that says what it must not."""

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

from orchestrator.cache.program import shipped, static_program
from orchestrator.clock import Deadlines
from orchestrator.lab.host import link as link_module
from orchestrator.lab.host.frames import Decoder, Frame, FrameError, LinkError, encode
from orchestrator.lab.host.link import Link
from tests.support.needs import Need, lacking
from tests.support.transport import Transport


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """The real agent, on a pseudo-terminal of this machine."""
    if shutil.which("cc") is None and shutil.which("gcc") is None:
        lacking(Need.COMPILER, "apt-get install gcc libc6-dev")
    program = static_program(shipped("agent.c"), tmp_path)
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    with subprocess.Popen(
        [program, os.ttyname(theirs)],
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
    assert hello.payload == b""
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
    lost: list[LinkError] = []
    loop = asyncio.get_running_loop()
    _, link = await loop.create_connection(
        lambda: Link(lambda: None, lambda frame: None, lost.append), sock=ours
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
        lambda: Link(lambda: None, lambda frame: None, lambda error: None, deadlines), sock=ours
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


async def test_an_agent_without_a_cpu_may_answer_later() -> None:
    ours, theirs = socket.socketpair()
    excuses = iter([" (the emulator waited for a CPU for 9 of 10 s). Run it later", ""])
    nothing = [lambda: None, lambda frame: None, lambda error: None]
    deadlines = Deadlines(lab_silence_ns=50_000_000, lab_answer_ns=50_000_000)
    _, link = await asyncio.get_running_loop().create_connection(
        lambda: Link(*nothing, deadlines, lambda: next(excuses)), sock=ours
    )
    for transient in (True, False):
        with pytest.raises(LinkError) as caught:
            await link.ask(b"R", 0, b"/proc/uptime")
        assert caught.value.transient is transient
        assert ("9 of 10 s" in str(caught.value)) is transient
    link.close()
    theirs.close()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (encode(b"q", 0, b"{}"), "it has not said hello"),
        (encode(b"h", 0, b"") * 2, "it says hello again"),
        (encode(b"h", 0, b"") + encode(b"r", 0, b"0 "), "it answers, and nothing was asked"),
        (encode(b"h", 0, b"") + encode(b"d", 0, b"part"), "it answers, and nothing was asked"),
        (b"GET / HTTP/1.1\r\n\r\n", "no frame begins with"),
    ],
)
async def test_an_agent_that_says_what_it_must_not_is_heard_no_more(
    said: bytes, words: str
) -> None:
    lost: list[LinkError] = []
    heard: list[Frame] = []
    link, transport = Link(lambda: None, heard.append, lost.append), Transport()
    link.connection_made(transport)
    link.data_received(said)
    (error,) = lost
    assert isinstance(error, FrameError)
    assert words in str(error)
    assert transport.closed
    link.data_received(encode(b"o", 0, b"a tick"))
    assert heard == []


async def test_an_answer_without_an_end_is_heard_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "ANSWER_BYTES", 9)
    lost: list[LinkError] = []
    link = Link(lambda: None, lambda frame: None, lost.append)
    link.connection_made(Transport())
    link.data_received(encode(b"h", 0, b""))
    for answers in (b"r", b"d"):
        asked = asyncio.create_task(link.ask(b"R", 0, b"/proc/uptime"))
        await asyncio.sleep(0)
        link.data_received(encode(b"d", 0, b"12345") + encode(answers, 0, b"0 "))
        if answers == b"r":
            assert await asked == b"12345"
    link.data_received(encode(b"d", 0, b"67890"))
    with pytest.raises(LinkError, match="an answer is longer than"):
        await asked
    assert len(lost) == 1


@pytest.mark.parametrize("answer", [b"", b"x", b"1e3 ", b"99999999999999999999 ", b"-1 ", b"0x0 "])
async def test_an_answer_without_a_number_ends_the_request(answer: bytes) -> None:
    lost: list[LinkError] = []
    link = Link(lambda: None, lambda frame: None, lost.append)
    link.connection_made(Transport())
    link.data_received(encode(b"h", 0, b""))
    asked = asyncio.create_task(link.ask(b"R", 0, b"/proc/uptime"))
    await asyncio.sleep(0)
    link.data_received(encode(b"r", 0, answer))
    with pytest.raises(LinkError, match="is no number from 0 to 4095"):
        await asked
    assert len(lost) == 1
