"""Work side by side, and its end."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.campaign import together
from orchestrator.campaign.together import run_together
from orchestrator.journal.file import JOURNAL, Journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / JOURNAL) as opened:
        yield opened


async def forever() -> None:
    await asyncio.Event().wait()


async def cleans_up_forever(released: asyncio.Event) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await released.wait()


async def fails() -> None:
    raise ValueError("what went wrong")


async def test_one_failure_ends_the_others(journal: Journal) -> None:
    errors: list[BaseException] = []
    with pytest.raises(ValueError, match="what went wrong"):
        await run_together([forever(), fails(), forever()], journal, errors.append)
    assert [str(error) for error in errors] == ["what went wrong"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("signals", [1, 2])
async def test_work_that_does_not_end_delays_the_ending_for_a_bounded_time(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, signals: int
) -> None:
    """A second cancellation does not wait at all."""
    monkeypatch.setattr(together, "CLEAN_UP_S", 0.05 if signals == 1 else 1e9)
    released, ended = asyncio.Event(), asyncio.Event()
    errors: list[BaseException] = []

    def ending(error: BaseException) -> None:
        errors.append(error)
        ended.set()

    run = asyncio.create_task(run_together([cleans_up_forever(released)], journal, ending))
    for number in range(signals):
        await asyncio.sleep(0.01)
        run.cancel(f"signal {number}")
    async with asyncio.timeout(30):
        await ended.wait()
    assert [str(error) for error in errors] == ["signal 0"]
    released.set()
    with pytest.raises(asyncio.CancelledError):
        await run
