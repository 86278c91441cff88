"""The choice of a timer period by `auto`, from given measurements."""

import pytest

from orchestrator.campaign.period import choose_period, gap_errors
from orchestrator.findings.period import PeriodTried
from orchestrator.guest.lines import Tick
from orchestrator.plan.period import AUTO_PERIODS_NS

MS = 1_000_000


@pytest.mark.parametrize(
    ("delay_ms", "chosen_ms"),
    [(0.1, 5), (0.5, 5), (0.6, 10), (1.0, 10), (1.5, 20), (4, 50), (9, 100), (30, 100)],
)
async def test_the_shortest_period_that_suits_the_host(delay_ms: float, chosen_ms: int) -> None:
    """The host delays each stop by as much, whatever the period is."""

    async def attempt(period_ns: int) -> PeriodTried:
        error = delay_ms * MS / period_ns
        return PeriodTried(period_ns, printing=0.1, gap_error=0.0, stop_error=error)

    period_ns, tried = await choose_period(attempt)
    assert period_ns == chosen_ms * MS
    assert [each.period_ns for each in tried] == [
        each for each in AUTO_PERIODS_NS if each <= period_ns
    ]
    assert all(each.why_not for each in tried[:-1])


def tick(sequence: int, at: int, stolen: int = 0) -> Tick:
    return Tick(sequence, 1000, at, print_cycles=0, arms=sequence + 1, stolen=stolen)


def test_time_in_which_the_vcpu_did_not_run_makes_no_gap_long() -> None:
    ticks = [tick(1, 1000), tick(2, 2000), tick(3, 5000, stolen=2500), tick(4, 6000)]
    assert gap_errors(ticks) == [0.0, 0.0, 0.0]


def test_a_gap_is_long_by_what_the_vcpu_ran() -> None:
    ticks = [tick(1, 1000), tick(2, 2000), tick(3, 5000, stolen=1500), tick(4, 6000)]
    assert gap_errors(ticks) == [0.0, 0.5, 0.0]
