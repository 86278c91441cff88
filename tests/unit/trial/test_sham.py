"""When the first tick of a sham is due: a host that stole time before makes it come sooner."""

from dataclasses import replace

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.guest.saved_state import SavedState
from orchestrator.plan.load import build_plan
from orchestrator.timers.first_tick import Span, classify
from orchestrator.trial.sham import due_after_pause
from tests.support.records import save_record

PLAN = build_plan({"axes": {"accel": "kvm"}, "limits": {"trials": 9, "rule_out": 0.5}}, "test")
(CELL,) = PLAN.cells(auto=None)  # type: ignore[arg-type]  # the plan leaves nothing open
STOOD = save_record(CELL, "sham1", 0.5).save.first


@pytest.mark.parametrize(
    ("at", "outcome"),
    [
        (0.0, Outcome.REMAINING),  # the host had stolen the rest of the period by then
        (0.2, Outcome.REMAINING),
        (0.4, Outcome.REMAINING),
        (0.7, Outcome.LATE),
        (2.5, Outcome.MISSED),
    ],
)
def test_a_tick_may_come_until_the_rest_of_the_period_has_passed(
    at: float, outcome: Outcome
) -> None:
    assert classify(Span(at, at), due_after_pause(STOOD, 0.1)) is outcome


def test_a_tick_whose_time_passed_during_the_pause_comes_at_once() -> None:
    due = due_after_pause(replace(STOOD, phase=0.8), 0.5)
    assert classify(Span(0.1, 0.1), due) is Outcome.REMAINING
    assert classify(Span(0.3, 0.3), due) is Outcome.LATE


def test_a_whole_period_may_begin_as_the_pit_of_kvm_goes_on() -> None:
    due = due_after_pause(STOOD, 0.1, anew=True)
    assert classify(Span(1.0, 1.0), due) is Outcome.REMAINING
    assert classify(Span(1.3, 1.3), due) is Outcome.LATE


@pytest.mark.parametrize(
    ("state", "until"),
    [
        (SavedState.ARMED, 0.4),
        (SavedState.PENDING, 0.6),
        (SavedState.TPR, 0.6),
        (SavedState.IN_SERVICE, 0.6),
        (SavedState.MASKED, 1.6),  # the guest arms its timer when it unmasks it
    ],
)
def test_a_guest_that_holds_its_tick_back_is_not_late(state: SavedState, until: float) -> None:
    due = due_after_pause(replace(STOOD, hold_left=0.6), 0.1, state)
    assert classify(Span(until, until), due).ticked
    assert classify(Span(until + 0.3, until + 0.3), due) is Outcome.LATE
