"""The clock of a lab, as its agent tells the time."""

import asyncio

import pytest

from orchestrator.lab.host.clock import LabClock


async def test_the_clock_draws_on_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = [100.0]
    monkeypatch.setattr("orchestrator.lab.host.clock.time.monotonic", lambda: wall[0])
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


@pytest.mark.parametrize("waits", ["deadline", "sleep"])
async def test_a_clock_that_stands_still_ends_a_wait_whatever_the_agent_says(waits: str) -> None:
    clock, loop = LabClock(patience_s=0.1), asyncio.get_running_loop()
    clock.tell(1_000_000_000)

    def chatter() -> None:
        clock.tell(1_000_000_000)
        talking[0] = loop.call_later(0.01, chatter)

    talking = [loop.call_soon(chatter)]
    async with asyncio.timeout(10):
        if waits == "sleep":
            await clock.sleep(200_000_000)
        else:
            with pytest.raises(TimeoutError):
                async with clock.deadline(20_000_000):
                    await loop.create_future()
    talking[0].cancel()


async def test_the_clock_never_goes_back() -> None:
    clock = LabClock()
    clock.tell(5_000_000_000)
    clock.tell(4_000_000_000)
    assert clock.told_ns == 5_000_000_000
