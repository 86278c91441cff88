"""How long the news of the direct test's program may take, on a host with a clock of its own."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from orchestrator.direct.answers import SilentProgramError, collect
from orchestrator.direct.wanted import DirectTrials
from orchestrator.process.output import Output
from orchestrator.testing.clock import FakeClock

SECOND_NS = 1_000_000_000

#: Seconds of virtual time after which a test fails: longer than any wait, and not for ever.
PATIENCE_S = 300

RESTORE = (
    '{"series": "restore", "tmcct_ns": 7, "trials": 100, "lost": 3, "pending": 0, '
    '"mean_ns": 12, "seconds": 0.5}\n'
)
CONTROL = RESTORE.replace("restore", "control")

ONE = DirectTrials(100, 2000, (7,))

#: Lines that count nothing on, however many there are.
NO_NEWS = {
    "nothing": "", "noise": "BUG: soft lockup - CPU#0 stuck\n", "an old count": '{"progress": 1}\n',
    "a line without an end": "x" * 4096,
}  # fmt: skip


@pytest.mark.parametrize("kind", NO_NEWS)
@pytest.mark.parametrize("answered", [0, 1, 2])
async def test_a_program_that_says_nothing_new_is_given_up(kind: str, answered: int) -> None:
    """The lines of a lab's program, whose host shows signs of life all the time."""
    output, clock = Output(), FakeClock()

    async def live_on() -> None:
        for line in ['{"progress": 1}\n', *[RESTORE, CONTROL][:answered]]:
            output.hear(line.encode())
        while True:
            if NO_NEWS[kind]:
                output.hear(NO_NEWS[kind].encode())
            await clock.sleep(SECOND_NS)

    living, began_ns = asyncio.create_task(live_on()), clock.now_ns()
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(SilentProgramError, match=f"for 60.24 s .* {answered} of 2 series"):
            await collect(output.lines(), ONE, clock)
    living.cancel()
    assert clock.now_ns() - began_ns <= 62 * SECOND_NS, "of the host's time"


async def test_a_slow_program_that_counts_on_is_waited_for() -> None:
    clock = FakeClock()

    async def slow() -> AsyncIterator[str]:
        for line in (*(f'{{"progress": {done}}}' for done in range(0, 105, 5)), RESTORE, CONTROL):
            await clock.sleep(59 * SECOND_NS)
            yield line

    async with asyncio.timeout(PATIENCE_S):
        assert (await collect(slow(), ONE, clock)).control.lost == 3


async def test_a_timer_with_a_long_period_is_waited_for() -> None:
    clock = FakeClock()

    async def slow() -> AsyncIterator[str]:
        for line in (RESTORE, CONTROL):
            await clock.sleep(100 * SECOND_NS)
            yield line

    async with asyncio.timeout(PATIENCE_S):
        assert await collect(slow(), DirectTrials(100, SECOND_NS, (7,)), clock)
