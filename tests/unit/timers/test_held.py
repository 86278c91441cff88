import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.guest.saved_state import SavedState
from orchestrator.timers.first_tick import AT_ONCE, ResumeTiming
from orchestrator.timers.registry import TIMERS
from orchestrator.timers.timer import Timer

STOOD = ResumeTiming(lapic_stood=True)


def held(state: SavedState, mode: str = "one-shot") -> Timer:
    return TIMERS[mode].in_state(state)


def test_an_armed_timer_is_what_it_was() -> None:
    armed, plain = held(SavedState.ARMED), TIMERS["one-shot"]
    assert armed.due(0.5, STOOD, 0.3) == plain.due(0.5, STOOD)
    assert armed.gap_periods(0.3) == 1
    assert (armed.conditions, armed.may_wait, armed.saved_after) == (frozenset(), False, 0)


@pytest.mark.parametrize("state", [SavedState.PENDING, SavedState.TPR])
def test_a_tick_that_waits_comes_at_the_end_of_the_hold(state: SavedState) -> None:
    assert held(state).due(0.5, STOOD, 1.25) == {Outcome.IMMEDIATE: (1.25, 1.25)}
    assert held(state).gap_periods(1.8) == 1.8


def test_a_tick_comes_by_its_class_but_not_before_the_eoi() -> None:
    assert held(SavedState.IN_SERVICE).due(0.4, AT_ONCE, 0.3) == {
        Outcome.IMMEDIATE: (0.3, 0.3),
        Outcome.FULL_PERIOD: (1, 1),
        Outcome.REMAINING: (0.6, 0.6),
    }
    assert held(SavedState.IN_SERVICE).due(0.4, STOOD, 0.3) == {Outcome.REMAINING: (0.6, 0.6)}
    assert held(SavedState.IN_SERVICE).gap_periods(0.75) == 1


def test_a_masked_timer_ticks_a_period_after_it_is_armed_again() -> None:
    assert held(SavedState.MASKED).due(0.5, STOOD, 0.25) == {Outcome.FULL_PERIOD: (1.25, 1.25)}
    assert held(SavedState.MASKED).gap_periods(0.75) == 1.75


@pytest.mark.parametrize("mode", ["one-shot", "tsc-deadline"])
def test_kvm_keeps_the_tick_of_a_masked_timer_that_expired(mode: str) -> None:
    assert held(SavedState.MASKED, mode).due(0.5, AT_ONCE, 0.4) == {
        Outcome.FULL_PERIOD: (1.4, 1.4),
        Outcome.IMMEDIATE: (0.4, 0.4),
    }


def test_a_deadline_that_comes_in_a_hold_waits_for_its_end() -> None:
    slow = ResumeTiming(loading=0.3, answering=0.02)
    assert held(SavedState.IN_SERVICE, "tsc-deadline").due(0.6, slow, 0.35) == {
        Outcome.IMMEDIATE: (0.35, 0.35),
        Outcome.REMAINING: (0.35, 0.4),
    }


@pytest.mark.parametrize(
    ("state", "conditions", "may_wait", "saved_after"),
    [
        (SavedState.PENDING, {"pending", "interrupts off"}, True, 0.85),
        (SavedState.IN_SERVICE, {"in service"}, False, 0),
        (SavedState.MASKED, {"masked"}, False, 0),
        (SavedState.TPR, {"held back"}, True, 0),
    ],
)
def test_what_a_save_in_a_state_must_and_may_show(
    state: SavedState, conditions: set[str], *, may_wait: bool, saved_after: float
) -> None:
    timer = held(state)
    assert (timer.conditions, timer.may_wait) == (conditions, may_wait)
    assert timer.saved_after == saved_after


def test_the_timers_of_the_registry_stay_armed() -> None:
    held(SavedState.MASKED, "periodic")
    assert all(timer.conditions == frozenset() for timer in TIMERS)
    assert all(timer.gap_periods(0.3) == 1 for timer in TIMERS)
