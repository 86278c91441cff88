"""One process at a time has the turn."""

import asyncio
import sys
import uuid

import pytest

from orchestrator.host.turn import turn
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


async def test_two_of_one_process_take_turns() -> None:
    name, seen = f"losttick-test/{uuid.uuid4().hex}", []

    async def work(number: int) -> None:
        async with turn(name):
            seen.append(number)
            await asyncio.sleep(0.01)
            seen.append(number)

    await asyncio.gather(*map(work, range(3)))
    assert seen[::2] == seen[1::2]
