import pytest

from orchestrator.findings.outcome import FirstTick, Outcome
from orchestrator.timers.first_tick import AT_ONCE, ResumeTiming, classify, lapic_due
from orchestrator.timers.registry import TIMERS


@pytest.mark.parametrize(
    ("spun", "wall", "phase", "outcome"),
    [
        (0.0, 0.05, 0.5, Outcome.IMMEDIATE),
        (0.14, 0.2, 0.5, Outcome.IMMEDIATE),
        (0.5, 0.5, 0.5, Outcome.REMAINING),
        (0.62, 0.65, 0.36, Outcome.REMAINING),
        (0.97, 1.02, 0.36, Outcome.FULL_PERIOD),
        (1.0, 1.0, 0.64, Outcome.FULL_PERIOD),
        (0.25, 0.25, 0.36, Outcome.INDISTINCT),
        # A host that stalled: the guest made no progress, or we were slow to look.
        (0.0, 1.0, 0.5, Outcome.INDISTINCT),
        (0.0, 7.0, 0.5, Outcome.INDISTINCT),
        (2.0, 1.0, 0.5, Outcome.INDISTINCT),
    ],
)
def test_first_ticks(spun: float, wall: float, phase: float, outcome: Outcome) -> None:
    assert classify(FirstTick(spun, wall, 0.0), lapic_due(phase, AT_ONCE)) == (outcome, 0)


@pytest.mark.parametrize(
    ("spun", "phase", "outcome"),
    [
        # Early in the period, what remains is nearly a full one.
        (0.95, 0.1, Outcome.INDISTINCT),
        (0.78, 0.1, Outcome.REMAINING),
        (0.02, 0.1, Outcome.IMMEDIATE),
        # Late in it, nearly nothing.
        (0.05, 0.9, Outcome.INDISTINCT),
        (0.0, 0.9, Outcome.INDISTINCT),
        (0.24, 0.9, Outcome.REMAINING),
        (1.0, 0.9, Outcome.FULL_PERIOD),
        # A little off the middle the kinds still lie apart.
        (0.69, 0.31, Outcome.REMAINING),
        (0.31, 0.69, Outcome.REMAINING),
        (-0.1, 0.69, Outcome.IMMEDIATE),
    ],
)
def test_first_ticks_that_fit_two_kinds_are_indistinct(
    spun: float, phase: float, outcome: Outcome
) -> None:
    assert classify(FirstTick(spun, max(0.0, spun), 0.0), lapic_due(phase, AT_ONCE)) == (outcome, 0)


@pytest.mark.parametrize(("spun", "wall", "missing"), [(1.6, 1.7, 1), (2.0, 2.1, 1), (3.1, 9, 2)])
def test_missing_periods_need_both_clocks(spun: float, wall: float, missing: int) -> None:
    assert classify(FirstTick(spun, wall, 0.0), lapic_due(0.5, AT_ONCE)) == (
        Outcome.MISSED,
        missing,
    )


@pytest.mark.parametrize(
    ("periods", "wall_periods", "outcome"),
    [
        (0.0, 0.4, Outcome.IMMEDIATE),  # QEMU took long to say that it goes on
        (0.0, 0.8, Outcome.INDISTINCT),
        (0.72, 0.9, Outcome.FULL_PERIOD),  # a quarter of it passed before it went on
        (0.4, 0.5, Outcome.FULL_PERIOD),  # not what remained: no kernel's LAPIC knows that
        (0.25, 0.3, Outcome.INDISTINCT),
        (0.95, 1.0, Outcome.FULL_PERIOD),
    ],
)
def test_a_period_that_began_with_the_load(
    periods: float, wall_periods: float, outcome: Outcome
) -> None:
    slow = ResumeTiming(since_load=0.1, answering=0.2)
    first = FirstTick(periods, wall_periods, 1.0)
    assert classify(first, lapic_due(0.5, slow), slow) == (outcome, 0)


def test_a_slow_load_says_nothing_of_the_remaining_time() -> None:
    """The period began somewhere in the load: what is left of it may look like anything."""
    first = FirstTick(0.55, 0.6, 1.0)
    for loading, outcome in ((0.05, Outcome.REMAINING), (0.3, Outcome.INDISTINCT)):
        slow = ResumeTiming(since_load=0.05, answering=0.02, loading=loading)
        assert classify(first, lapic_due(0.5, slow), slow) == (outcome, 0)
    stood = ResumeTiming(loading=0.3, lapic_stood=True)
    assert classify(first, lapic_due(0.5, stood), stood) == (Outcome.REMAINING, 0)


@pytest.mark.parametrize(
    ("since_load", "outcome"),
    [
        (0.5, Outcome.IMMEDIATE),
        (0.65, Outcome.IMMEDIATE),
        # From here on, a timer that began a whole period has fired before the guest resumed.
        (0.9, Outcome.INDISTINCT),
        (1.0, Outcome.INDISTINCT),
        (1.2, Outcome.INDISTINCT),
        (3.7, Outcome.INDISTINCT),
    ],
)
@pytest.mark.parametrize("timer", ["one-shot", "periodic", "tsc-deadline"])
def test_a_tick_at_once_says_nothing_if_a_period_passed_before_cont(
    timer: str, since_load: float, outcome: Outcome
) -> None:
    slow = ResumeTiming(since_load=since_load)
    due = TIMERS[timer].due(0.5, slow)
    assert classify(FirstTick(0.02, 0.05, 1.0), due, slow) == (outcome, 0)
