import asyncio
import random

from orchestrator.campaign.turns import Turns


async def take_turns(seed: int, parallel: int, delays: dict[str, float]) -> list[str]:
    order: list[str] = []
    holding = 0
    turns = Turns(dict.fromkeys(delays, 1), parallel, random.Random(seed))

    async def one(name: str) -> None:
        nonlocal holding
        for _ in range(3):
            await asyncio.sleep(delays[name])  # on the way to its turn
            async with turns.turn(name):
                holding += 1
                assert holding <= parallel
                order.append(name)
                await asyncio.sleep(0.001)
                holding -= 1
        turns.leave(name)

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for name in delays:
            group.create_task(one(name))
    return order


async def test_the_seed_decides_not_who_is_quicker() -> None:
    first = await take_turns(1, 1, {"a": 0, "b": 0.003, "c": 0.001, "d": 0})
    second = await take_turns(1, 1, {"d": 0.002, "a": 0.004, "b": 0, "c": 0})
    assert first == second
    assert sorted(first) == sorted("abcd" * 3)
    others = [await take_turns(seed, 1, dict.fromkeys("abcd", 0.0)) for seed in range(2, 6)]
    assert any(order != first for order in others)
    assert any(order[:3] != sorted(order[:3]) for order in others)


async def test_so_many_at_a_time() -> None:
    order = await take_turns(1, 3, dict.fromkeys("abcdef", 0.0))
    assert sorted(order) == sorted("abcdef" * 3)


async def test_one_that_is_cancelled_keeps_nobody_waiting() -> None:
    turns = Turns({"a": 1, "b": 1}, 1, random.Random(1))

    async def holds() -> None:
        async with turns.turn("a"):
            await asyncio.sleep(60)

    async def wants() -> None:
        async with turns.turn("b"):
            pass

    holder, waiter = asyncio.create_task(holds()), asyncio.create_task(wants())
    await asyncio.sleep(0.01)
    assert turns.wanted or waiter.done()
    holder.cancel()
    await asyncio.gather(holder, return_exceptions=True)
    turns.leave("a")
    async with asyncio.timeout(1):
        await waiter


async def test_who_keeps_two_cpus_busy_waits_for_both() -> None:
    wants = {"a": 1, "b": 1, "c": 2, "d": 8}
    turns = Turns(wants, 2, random.Random(3))
    busy = most = 0

    async def one(name: str) -> None:
        nonlocal busy, most
        for _ in range(5):
            async with turns.turn(name):
                busy += min(wants[name], 2)
                most = max(most, busy)
                assert busy <= 2
                await asyncio.sleep(0.001)
                busy -= min(wants[name], 2)
        turns.leave(name)

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for name in wants:
            group.create_task(one(name))
    assert most == 2


async def test_one_that_was_drawn_and_gives_up_lets_the_next_one() -> None:
    turns = Turns({"a": 1, "b": 2, "c": 1}, 2, random.Random(1))
    order: list[str] = []

    async def one(name: str) -> None:
        async with turns.turn(name):
            order.append(name)
            await asyncio.sleep(0.01)

    tasks = {name: asyncio.create_task(one(name)) for name in "abc"}
    await asyncio.sleep(0.005)
    tasks["b"].cancel()
    await asyncio.gather(tasks["b"], return_exceptions=True)
    turns.leave("b")
    async with asyncio.timeout(1):
        while {"a", "c"} - set(order):
            turns.leave("a" if "a" in order else "c")
            await asyncio.sleep(0.001)
