import pytest

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.journal.control import control_seen, control_subject
from orchestrator.timers.registry import TIMERS

IMMEDIATE = Outcome.IMMEDIATE


def test_controls_are_on_one_vcpu_after_another() -> None:
    assert [control_subject(number, 4) for number in (1, 2, 3, 4, 5)] == [3, 2, 1, 0, 3]
    assert [control_subject(number, 1) for number in (1, 2)] == [0, 0]


LOST, INTERRUPT = Outcome.LOST, Cause.LOST_INTERRUPT


@pytest.mark.parametrize(
    ("outcomes", "causes", "seen"),
    [
        ({0: IMMEDIATE, 1: LOST}, {1: INTERRUPT}, True),
        ({0: LOST, 1: LOST}, {0: INTERRUPT, 1: INTERRUPT}, True),  # an affected host
        ({0: Outcome.LATE, 1: LOST}, {1: INTERRUPT}, True),  # a busy host
        ({0: Outcome.EARLY, 1: LOST}, {1: INTERRUPT}, False),
        ({0: LOST, 1: LOST}, {0: Cause.NOT_RESTORED, 1: INTERRUPT}, False),
        ({0: LOST, 1: IMMEDIATE}, {0: INTERRUPT}, False),
        ({0: IMMEDIATE, 1: LOST}, {1: Cause.UNEXPLAINED}, False),
        ({0: IMMEDIATE, 1: Outcome.UNKNOWN}, {}, False),
        ({0: Outcome.UNKNOWN}, {}, False),  # the second was not even watched
    ],
)
def test_a_control_is_seen_on_its_own_vcpu(
    outcomes: dict[int, Outcome], causes: dict[int, Cause], seen: bool
) -> None:
    assert control_seen(TIMERS["one-shot"], outcomes, causes, subject=1) is seen


def test_a_control_of_periodic_timers_is_a_missed_tick() -> None:
    missed = {0: Outcome.FULL_PERIOD, 1: Outcome.MISSED}
    assert control_seen(TIMERS["periodic"], missed, {}, subject=1)
    assert not control_seen(TIMERS["periodic"], missed, {}, subject=0)
