"""Which outcomes a QEMU that waits for a CPU can explain."""

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.timers.registry import TIMERS
from orchestrator.trial.qemu_waits import needed_delay


@pytest.mark.parametrize("outcome", [Outcome.LATE, Outcome.MISSED, Outcome.RECOVERED])
def test_a_tick_that_came_after_a_proven_silence_is_not_qemu_s_wait(outcome: Outcome) -> None:
    """QEMU answered while the tick was overdue: its main loop ran, and could fire timers."""
    assert needed_delay(outcome, TIMERS["periodic"], 6.5, silent=False) == 6.5
    assert needed_delay(outcome, TIMERS["periodic"], 6.5, silent=True) is None


def test_only_the_tick_after_a_late_one_comes_too_soon() -> None:
    assert needed_delay(Outcome.EXTRA, TIMERS["periodic"], 0.0, silent=False) == 1.0
    assert needed_delay(Outcome.EXTRA, TIMERS["one-shot"], 0.0, silent=False) is None


@pytest.mark.parametrize(("too_soon", "late"), [([0.24], 0.24), ([0.6, 0.4], 0.6)])
def test_the_tick_before_was_late_by_as_much_as_the_next_one_comes_too_soon(
    too_soon: list[float], late: float
) -> None:
    assert needed_delay(Outcome.EXTRA, TIMERS["rtc"], 0.0, False, too_soon) == late


def test_a_storm_takes_more_than_one_wait() -> None:
    storm = [1.0] * 15
    assert needed_delay(Outcome.EXTRA, TIMERS["periodic"], 0.0, False, storm) == 7.5


@pytest.mark.parametrize(
    "outcome", [Outcome.EARLY, Outcome.RATE, Outcome.CLOCK, Outcome.LOST, Outcome.CRASHED]
)
def test_other_outcomes_are_never_qemu_s_wait(outcome: Outcome) -> None:
    assert needed_delay(outcome, TIMERS["periodic"], 6.5, silent=False) is None
