"""Virtual time jumps to the next timer, but never over what could still happen before it."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from typing import TypeVar

from orchestrator.testing.virtual_time import VirtualTimeLoop

T = TypeVar("T")


def run(main: Callable[[], Coroutine[None, None, T]]) -> T:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main())


def test_timers_fire_in_their_order_and_at_their_time() -> None:
    async def main() -> list[tuple[str, float]]:
        fired: list[tuple[str, float]] = []
        loop = asyncio.get_running_loop()

        async def sleeper(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            fired.append((name, round(loop.time(), 6)))

        async with asyncio.TaskGroup() as group:
            for name, seconds in (("day", 86_400.0), ("minute", 60.0), ("blink", 0.1)):
                group.create_task(sleeper(name, seconds))
        return fired

    assert run(main) == [("blink", 0.1), ("minute", 60.0), ("day", 86_400.0)]


def test_what_is_on_its_way_arrives_before_the_next_timer() -> None:
    """A thousand exchanges over a socketpair fit before a timeout of a microsecond."""

    async def main() -> float:
        ours, theirs = socket.socketpair()

        async def echo() -> None:
            reader, writer = await asyncio.open_connection(sock=theirs)
            while line := await reader.readline():
                writer.write(line)
            writer.close()
            await writer.wait_closed()

        peer = asyncio.create_task(echo())
        reader, writer = await asyncio.open_connection(sock=ours)
        async with asyncio.timeout(1e-6):
            for number in range(1000):
                writer.write(b"%d\n" % number)
                assert await reader.readline() == b"%d\n" % number
        writer.close()
        await writer.wait_closed()
        await peer
        return asyncio.get_running_loop().time()

    assert run(main) == 0.0


def test_a_thread_is_waited_for_and_not_jumped_over() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        jumped = threading.Event()
        loop.call_later(3600, jumped.set)

        def work() -> bool:
            return jumped.wait(0.05)  # real time: long enough for a jump, were there one

        assert not await asyncio.to_thread(work), "the loop jumped while a thread was at work"
        stood = loop.time()
        await asyncio.sleep(3601)
        assert jumped.is_set()
        return stood

    assert run(main) == 0.0


def test_a_deadline_passes_where_nothing_comes() -> None:
    async def main() -> float:
        try:
            async with asyncio.timeout(600):
                await asyncio.Event().wait()
        except TimeoutError:
            return asyncio.get_running_loop().time()
        raise AssertionError

    assert run(main) == 600.0


def test_the_end_waits_for_threads() -> None:
    """Python 3.12 and later give them 300 s, by the loop's time."""
    ended = threading.Event()

    def work() -> None:
        time.sleep(0.05)
        ended.set()

    async def main() -> None:
        asyncio.get_running_loop().run_in_executor(None, work)

    run(main)
    assert ended.is_set()
