"""Nobody else can reach a lab that boots, and an agent's nonsense ends it with a reason."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import ClassVar, cast

import pytest

from orchestrator.lab.emulator.boot import LabError, LabFacts
from orchestrator.lab.emulator.pace import Pace
from orchestrator.lab.host import boot as module
from orchestrator.lab.host.boot import boot
from orchestrator.lab.host.frames import encode
from orchestrator.lab.host.image import LabImage
from orchestrator.testing import FACTS
from tests.support.sockets import doors

IMAGE = cast(
    LabImage,
    SimpleNamespace(bochs=None, cd=lambda: b"", memory_mib=1, cpus=1, qemu="qemu", qemu_facts=None),
)

HELLO = encode(b"h", 0, b"")


class SpeakingLab:
    """An emulated machine whose agent says some bytes, and nothing more."""

    said: ClassVar[bytes] = HELLO
    doors: ClassVar[list[str]] = []

    def __init__(
        self, bochs: object, cd: bytes, *, agent: socket.socket, **options: object
    ) -> None:
        self.agent, self.pace = agent, Pace()
        self.facts, self.serial = LabFacts("6.1.0"), ["the last words"]
        self.described = asyncio.Event()
        self.described.set()

        self.trouble: LabError | None = None

    def sign_of_life(self) -> None:
        pass

    def excuse(self) -> str:
        return ""

    async def lines(self) -> AsyncIterator[str]:
        type(self).doors = doors(os.getpid())
        self.agent.send(self.said)
        await asyncio.Event().wait()
        yield ""


@pytest.fixture
def speaking(monkeypatch: pytest.MonkeyPatch) -> type[SpeakingLab]:
    monkeypatch.setattr(module, "Lab", SpeakingLab)
    return SpeakingLab


async def test_nobody_else_can_reach_a_lab(speaking: type[SpeakingLab]) -> None:
    """Neither while it boots nor later does anything wait for a connection."""
    before = doors(os.getpid())
    async with boot(IMAGE, FACTS):
        assert speaking.doors == before
        assert doors(os.getpid()) == before


async def test_a_lab_whose_emulator_hangs_up_ends_its_programs(
    speaking: type[SpeakingLab], monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[socket.socket] = []
    pair = socket.socketpair
    monkeypatch.setattr(socket, "socketpair", lambda: ends.extend(pair()) or ends)
    async with boot(IMAGE, FACTS) as host:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        running = SimpleNamespace(end=lambda code, why: ended.done() or ended.set_result(why))
        host._programs.running[0] = running  # type: ignore[assignment]  # a fake program
        ends[1].close()
        async with asyncio.timeout(10):
            assert "is closed" in await ended


@pytest.mark.parametrize(
    "said",
    [b"\xff" * 12, encode(b"o", 0, b"+0\n"), HELLO[:-1] + b"x"],
    ids=["noise", "a console before the hello", "a wrong checksum"],
)
async def test_an_agent_that_says_what_it_must_not_ends_the_boot(
    speaking: type[SpeakingLab], monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(speaking, "said", said)
    with pytest.raises(LabError, match=r"hearing the lab's agent: [^$]*the last words"):
        async with asyncio.timeout(10), boot(IMAGE, FACTS):
            pytest.fail("it booted")
