"""The choice of a timer period by `auto`, from given measurements."""

import itertools

import pytest

from orchestrator.campaign.period import (
    _Attempt,
    choose_period,
    gap_error_of,
    measured_config,
    prints_too_long,
)
from orchestrator.findings.period import PeriodTried
from orchestrator.guest.lines import Tick
from orchestrator.guest.saved_state import SavedState
from orchestrator.plan.load import build_plan
from orchestrator.plan.period import AUTO_PERIODS_NS
from orchestrator.snapshot.hmp import HmpSnapshots
from orchestrator.testing import FakeHost, Script, immediate
from orchestrator.trial.pace import Pace
from orchestrator.vm.config import Accel
from orchestrator.vm.launch import launch

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
    # The longest is not tried: nothing could be chosen in its place.
    assert [each.period_ns for each in tried] == [
        each for each in AUTO_PERIODS_NS[:-1] if each <= period_ns
    ]
    assert [bool(each.why_not) for each in tried] == [each.period_ns < period_ns for each in tried]


def tick(sequence: int, at: int, stolen: int = 0, print_cycles: int = 100) -> Tick:
    return Tick(sequence, 1000, at, print_cycles, arms=sequence + 1, stolen=stolen)


def errors(*ticks: Tick) -> list[float]:
    pace = Pace()
    pace.known_cycles = 1000
    found = []
    for before, after in itertools.pairwise(ticks):
        pace.observe(before, after)
        found.append(gap_error_of(before, after, pace))
    return found


def test_time_in_which_the_vcpu_did_not_run_makes_no_gap_long() -> None:
    ticks = tick(1, 1000), tick(2, 2000), tick(3, 5000, stolen=2500), tick(4, 6000)
    assert errors(*ticks) == [0.0, 0.0, 0.0]
    # The vCPU was held up while it printed.
    ticks = tick(1, 1000), tick(2, 2000), tick(3, 3500, print_cycles=600), tick(4, 4500)
    assert errors(*ticks) == [0.0, 0.0, 0.0]


def test_a_gap_is_long_by_what_the_vcpu_ran() -> None:
    ticks = tick(1, 1000), tick(2, 2000), tick(3, 5000, stolen=1500), tick(4, 6000)
    assert errors(*ticks) == [0.0, 0.5, 0.0]


@pytest.mark.parametrize(
    ("prints", "too_long"),
    [
        ([310, 300], False),  # too few to know
        ([310, 300, 120], False),  # the first lines are slow, and the next ones are not
        ([310, 300, 260], True),
        ([310, 300, 260, 260, 260, 200], True),  # one fast line is not the rule
    ],
)
def test_a_period_is_not_refused_for_the_first_slow_lines(
    prints: list[int], *, too_long: bool
) -> None:
    pace = Pace()
    pace.known_cycles = 1000
    ticks = [tick(n, 1000 * n, print_cycles=each) for n, each in enumerate([100, *prints])]
    for before, after in itertools.pairwise(ticks):
        pace.observe(before, after)
    assert prints_too_long([Pace(), pace]) is too_long


@pytest.mark.parametrize("state", list(SavedState))
def test_a_guest_that_holds_its_ticks_back_is_measured_without(state: SavedState) -> None:
    (cell,) = build_plan({"axes": {"state": state, "memory_mib": 64}}, "test").cells(Accel.KVM)
    config = measured_config(cell, 5 * MS)
    assert (config.guest.state, config.guest.period_ns) == (SavedState.ARMED, 5 * MS)
    assert (config.disk, config.memory_mib) == (False, 64)


async def test_a_host_too_busy_for_a_single_gap_gets_another_period() -> None:
    (cell,) = build_plan({}, "test").cells(Accel.KVM)
    async with launch(FakeHost(Script(immediate)), measured_config(cell, 5 * MS)) as instance:
        found = _Attempt(instance, HmpSnapshots(), 5 * MS)._found()
    assert (found.gap_error, found.gaps) == (None, 0)
    assert found.why_not == "not everything was measured"
