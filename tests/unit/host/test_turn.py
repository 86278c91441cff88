"""One process at a time has the turn."""

import asyncio
import contextlib
import socket
import sys
import uuid
from collections.abc import Iterator

import pytest

from orchestrator.host import turn as module
from orchestrator.host.turn import NoTurnError, turn
from tests.support.places import ROOT

#: Takes the turn, says so, and keeps it for ever.
KEEPER = """
import asyncio, sys
from orchestrator.host.turn import turn

async def keep():
    async with turn(sys.argv[1]):
        print("has it", flush=True)
        await asyncio.sleep(3600)

asyncio.run(keep())
"""


async def test_the_turn_of_a_killed_process_is_free() -> None:
    name = f"losttick-test/{uuid.uuid4().hex}"
    keeper = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KEEPER, name, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert keeper.stdout
        assert await keeper.stdout.readline() == b"has it\n"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3), turn(name):
                pass
    finally:
        keeper.kill()
        await keeper.communicate()
    async with asyncio.timeout(30), turn(name):
        pass


@contextlib.contextmanager
def kept(name: str) -> Iterator[None]:
    """Have a name for oneself, as any user may."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(f"\0{name}")
        yield


async def test_a_turn_that_somebody_keeps_is_told_and_has_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "TELL_S", 0.2)
    name, said = f"losttick-test/{uuid.uuid4().hex}", []
    with kept(name), pytest.raises(NoTurnError, match=f"ss -xap . grep {name}` shows"):
        async with asyncio.timeout(30), turn(name, said.append, most_s=0.5):
            pytest.fail("another has the turn")
    (text,) = said
    assert f"grep {name}`" in text
    async with turn(name):
        pass


async def test_each_that_has_the_turn_has_its_own_time() -> None:
    """Many may wait for each other."""
    name, done = f"losttick-test/{uuid.uuid4().hex}", asyncio.Event()

    async def wait() -> None:
        async with turn(name, most_s=3):
            done.set()

    task = None
    for _ in range(5):  # together longer than one may have it
        with kept(name):
            task = task or asyncio.create_task(wait())
            await asyncio.sleep(0.8)
            assert not done.is_set()
    assert task
    await task


async def test_two_of_one_process_take_turns() -> None:
    name, seen = f"losttick-test/{uuid.uuid4().hex}", []

    async def work(number: int) -> None:
        async with turn(name):
            seen.append(number)
            await asyncio.sleep(0.01)
            seen.append(number)

    await asyncio.gather(*map(work, range(3)))
    assert seen[::2] == seen[1::2]
