"""Signs of life: what counts as one, and for how long they are waited for."""

import asyncio
from collections.abc import Sequence

import pytest

from orchestrator.android.adb import Adb
from orchestrator.android.findings import Guest
from orchestrator.android.life import Watched, watch
from orchestrator.android.loads import see


class Heart:
    """Says the numbers in turn, then the last one for ever."""

    def __init__(self, *numbers: int, stopped: bool = False) -> None:
        self._numbers = list(numbers)
        self._stopped = stopped

    async def heartbeat(self) -> int:
        return self._numbers.pop(0) if len(self._numbers) > 1 else self._numbers[0]

    async def stopped(self) -> bool:
        return self._stopped


class Guest2(Adb):
    """An adb that says these uptimes in turn."""

    def __init__(self, *uptimes: float | None) -> None:
        self._uptimes = list(uptimes)

    async def uptime_s(self) -> float | None:
        return self._uptimes.pop(0)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses take no time; only the watch itself goes by the clock."""
    slept = asyncio.sleep
    monkeypatch.setattr("asyncio.sleep", lambda s: slept(s / 50))


@pytest.mark.parametrize(
    ("numbers", "beats"), [((5, 5, 6, 7), 2), ((0, 3), 3), ((9, 10, 10, 11), 2)]
)
async def test_two_beats_after_the_load_are_life(numbers: Sequence[int], beats: int) -> None:
    seen = await watch(Heart(*numbers), 5)
    assert (seen.beats, seen.alive, seen.uptime_rose) == (beats, True, None)


@pytest.mark.parametrize("numbers", [(5,), (5, 6), (5, 4), (5, 0)])
async def test_one_beat_is_not_and_neither_is_a_number_that_falls(numbers: Sequence[int]) -> None:
    assert not (await watch(Heart(*numbers), 0.1)).alive


@pytest.mark.parametrize(
    ("uptimes", "rose"), [((10.0, 11.0), True), ((10.0, 10.0), False), ((None,), False),
                          ((10.0, None), False)]
)  # fmt: skip
async def test_a_silent_guest_is_asked_for_its_uptime(
    uptimes: Sequence[float | None], rose: bool
) -> None:
    seen = await watch(Heart(5), 0.1, Guest2(*uptimes))
    assert (seen.uptime_rose, seen.alive) == (rose, rose)


async def test_what_the_emulator_stops_is_not_frozen() -> None:
    assert (await see(Heart(5, stopped=True), 1, 0.1, None)).guest is Guest.STOPPED
    assert (await see(Heart(5), 1, 0.1, None)).guest is Guest.FROZE
    assert (await see(Heart(5, 6, 7), 1, 5, None)).guest is Guest.RAN


def test_alive_by_either_sign() -> None:
    assert Watched(2, 1.0).alive
    assert Watched(0, 60.0, uptime_rose=True).alive
    assert not Watched(1, 60.0, uptime_rose=False).alive
