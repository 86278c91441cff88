import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.timers.first_tick import (
    AT_ONCE,
    ResumeTiming,
    Span,
    classify,
    in_words,
    lapic_due,
    missing_at_first,
    past_a_class,
)
from orchestrator.timers.registry import TIMERS


@pytest.mark.parametrize(
    ("low", "high", "phase", "outcome"),
    [
        (0.0, 0.0, 0.5, Outcome.IMMEDIATE),
        (0.14, 0.14, 0.5, Outcome.IMMEDIATE),
        (0.5, 0.5, 0.5, Outcome.REMAINING),
        (0.62, 0.62, 0.36, Outcome.REMAINING),
        (0.97, 0.97, 0.36, Outcome.FULL_PERIOD),
        (1.0, 1.0, 0.64, Outcome.FULL_PERIOD),
        (1.1, 1.1, 0.5, Outcome.FULL_PERIOD),
        # No class is due then.
        (0.25, 0.25, 0.36, Outcome.EARLY),
        (0.75, 0.75, 0.6, Outcome.EARLY),
        (1.2, 1.2, 0.5, Outcome.LATE),
        (1.4, 1.4, 0.5, Outcome.LATE),
        (1.6, 1.6, 0.5, Outcome.LATE),
        (1.89, 1.89, 0.5, Outcome.LATE),
        (1.95, 1.95, 0.5, Outcome.MISSED),
        (3.0, 3.0, 0.5, Outcome.MISSED),
        # The vCPU waited for a CPU: the tick may have come at any time in the span.
        (0.0, 0.3, 0.5, Outcome.IMMEDIATE),
        (0.6, 1.4, 0.5, Outcome.INDISTINCT),
        (0.7, 1.4, 0.5, Outcome.FULL_PERIOD),
        (0.0, 1.0, 0.5, Outcome.INDISTINCT),
        (0.0, 7.0, 0.5, Outcome.INDISTINCT),
        (0.9, 7.0, 0.5, Outcome.FULL_PERIOD),
        (0.2, 0.3, 0.5, Outcome.EARLY),
        (1.4, 7.0, 0.5, Outcome.LATE),
    ],
)
def test_first_ticks(low: float, high: float, phase: float, outcome: Outcome) -> None:
    assert classify(Span(low, high), lapic_due(phase, AT_ONCE)) is outcome


@pytest.mark.parametrize(
    ("at", "phase", "outcome"),
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
    ],
)
def test_first_ticks_that_fit_two_kinds_are_indistinct(
    at: float, phase: float, outcome: Outcome
) -> None:
    assert classify(Span(at, at), lapic_due(phase, AT_ONCE)) is outcome


@pytest.mark.parametrize(
    ("at", "outcome"),
    [
        (0.0, Outcome.IMMEDIATE),
        (0.72, Outcome.FULL_PERIOD),  # a quarter of it passed before the guest ran
        (0.4, Outcome.FULL_PERIOD),  # not what remained: no kernel's LAPIC knows that
        (0.95, Outcome.FULL_PERIOD),
        (0.25, Outcome.INDISTINCT),  # the guest may have run later still
    ],
)
def test_a_period_that_began_with_the_load(at: float, outcome: Outcome) -> None:
    slow = ResumeTiming(since_load=0.1, answering=0.2)
    assert classify(Span(at, at), lapic_due(0.5, slow), slow) is outcome


def test_a_slow_load_says_nothing_of_the_remaining_time() -> None:
    """The period began somewhere in the load: what is left of it may look like anything."""
    for loading, outcome in ((0.05, Outcome.REMAINING), (0.3, Outcome.INDISTINCT)):
        slow = ResumeTiming(since_load=0.05, answering=0.02, loading=loading)
        assert classify(Span(0.55, 0.55), lapic_due(0.5, slow), slow) is outcome
    stood = ResumeTiming(loading=0.3, lapic_stood=True)
    assert classify(Span(0.55, 0.55), lapic_due(0.5, stood), stood) is Outcome.REMAINING


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
def test_a_tick_at_once_says_nothing_if_a_period_passed_before_cont(
    since_load: float, outcome: Outcome
) -> None:
    slow = ResumeTiming(since_load=since_load)
    assert classify(Span(0.02, 0.02), TIMERS["one-shot"].due(0.5, slow), slow) is outcome


@pytest.mark.parametrize(
    ("resumed", "outcome"),
    [
        (ResumeTiming(), Outcome.EARLY),
        (ResumeTiming(since_load=0.5), Outcome.EARLY),
        # The period ended before `cont`.
        (ResumeTiming(since_load=0.9), Outcome.FULL_PERIOD),
        (ResumeTiming(since_load=3.7), Outcome.FULL_PERIOD),
        # It may have begun early in the load.
        (ResumeTiming(loading=0.9), Outcome.INDISTINCT),
        # QEMU's own LAPIC goes on with the rest of its period.
        (ResumeTiming(lapic_stood=True), Outcome.EARLY),
    ],
)
def test_a_periodic_timer_begins_a_period_in_the_load(
    resumed: ResumeTiming, outcome: Outcome
) -> None:
    due = TIMERS["periodic"].due(0.5, resumed)
    assert classify(Span(0.02, 0.02), due, resumed) is outcome


def test_a_lapic_that_stood_keeps_its_time_however_slow_the_resume() -> None:
    """As under TCG, after a load into a running guest: the guest resumed within its time."""
    stood = ResumeTiming(answering=0.4, loading=0.4, lapic_stood=True)
    ran = ResumeTiming(answering=0.4, loading=0.4)
    assert classify(Span(0.5, 0.5), lapic_due(0.5, stood), stood) is Outcome.REMAINING
    assert classify(Span(0.7, 0.7), lapic_due(0.5, stood), stood) is Outcome.INDISTINCT
    assert classify(Span(0.7, 0.7), lapic_due(0.5, ran), ran) is Outcome.FULL_PERIOD


@pytest.mark.parametrize(
    ("until_tick", "outcome"), [(0.6, Outcome.EARLY), (0.9, Outcome.INDISTINCT)]
)
def test_a_tick_sooner_than_a_period_after_the_command_is_no_full_period(
    until_tick: float, outcome: Outcome
) -> None:
    """However late the answers to the load and to `cont` arrive."""
    resumed = ResumeTiming(answering=0.4, loading=0.2, until_tick=until_tick)
    assert classify(Span(0.25, 0.25), lapic_due(0.5, resumed), resumed) is outcome


@pytest.mark.parametrize(("at", "past"), [(0.1, 0.1), (0.6, 0.28), (1.4, 0.4)])
def test_how_far_a_tick_is_past_a_class(at: float, past: float) -> None:
    due = lapic_due(0.68, ResumeTiming(lapic_stood=True))
    assert past_a_class(Span(at, at + 0.1), due) == pytest.approx(past)


@pytest.mark.parametrize(
    ("at", "outcome"),
    [
        (0.0, Outcome.IMMEDIATE),
        (0.2, Outcome.REMAINING),
        (0.5, Outcome.REMAINING),
        (0.8, Outcome.LATE),  # a load restores the deadline, and starts no whole period
    ],
)
def test_less_than_the_rest_of_a_period_may_be_left_until_a_deadline(
    at: float, outcome: Outcome
) -> None:
    due = TIMERS["tsc-deadline"].due(0.5, AT_ONCE)
    assert classify(Span(at, at), due) is outcome


@pytest.mark.parametrize(
    ("answering", "at", "outcome"),
    [
        (0.3, 0.5, Outcome.INDISTINCT),  # the remaining time would be as long
        (0.3, 0.69, Outcome.INDISTINCT),
        (0.3, 0.75, Outcome.FULL_PERIOD),
        (0.45, 0.5, Outcome.INDISTINCT),
        (0.1, 0.8, Outcome.FULL_PERIOD),
    ],
)
def test_a_short_full_period_of_a_vm_that_took_long_to_resume(
    answering: float, at: float, outcome: Outcome
) -> None:
    timing = ResumeTiming(answering=answering, loading=0.1)
    assert classify(Span(at, at), lapic_due(0.5, timing), timing) is outcome


@pytest.mark.parametrize(
    ("came", "answering", "missing"),
    [
        (2.0, 0.0, 1),
        (3.0, 0.0, 2),
        (2.7, 0.0, 1),
        # Seen in a lab: a tick three periods after the load, and 0.12 or 0.25 periods fewer after
        # the guest ran on.
        (2.88, 0.05, 2),
        (2.75, 0.1, 2),
        (1.9, 0.05, 1),
        (1.9, 0.5, 1),  # so late a resume tells too little to count one more
    ],
)
def test_the_periods_that_are_missing_at_the_first_tick(
    came: float, answering: float, missing: int
) -> None:
    due = lapic_due(0.5, ResumeTiming(answering=answering, loading=1.0))
    assert missing_at_first(Span(came, came), due) == missing


def test_words_say_how_many_periods_may_be_missing() -> None:
    due = lapic_due(0.5, ResumeTiming(answering=0.05, loading=1.0))
    unsure = in_words(Span(2.74, 2.94), due)  # the vCPU may have waited for a CPU
    assert missing_at_first(Span(2.74, 2.94), due) == 1
    assert unsure.endswith("; by the second number 2 periods passed without their tick")
    assert "second number" not in in_words(Span(2.88, 2.88), due)


@pytest.mark.parametrize(
    ("at", "stood", "outcome"),
    [
        (0.5, True, Outcome.REMAINING),
        (0.5, False, Outcome.INDISTINCT),
        (0.35, False, Outcome.INDISTINCT),
        (0.7, False, Outcome.INDISTINCT),  # its last interrupt came a whole kernel tick late
        (0.1, False, Outcome.EARLY),
        (0.1, True, Outcome.EARLY),
        (1.0, False, Outcome.LATE),
        (1.0, True, Outcome.LATE),
    ],
)
def test_a_kernel_takes_no_interrupt_for_a_tick_before_its_time(
    at: float, stood: bool, outcome: Outcome
) -> None:
    """So the class of a kernel's LAPIC does not show, and QEMU's own LAPIC keeps the time."""
    timer = TIMERS["one-shot"].under_a_kernel(0.1)
    resumed = ResumeTiming(lapic_stood=stood)
    assert classify(Span(at, at), timer.due(0.5, resumed), resumed) is outcome


def test_a_phase_past_the_period_leaves_no_time() -> None:
    """As in the window of the built-in control."""
    due = TIMERS["periodic"].under_a_kernel(0.1).due(11.5, AT_ONCE)
    assert set(due.values()) == {(0.0, 0.1)}


@pytest.mark.parametrize("mode", ["one-shot", "periodic"])
def test_a_tick_that_was_overdue_in_the_save_is_due_at_once(mode: str) -> None:
    """QEMU's own LAPIC keeps what was left of the period, and no less than nothing."""
    stood = ResumeTiming(lapic_stood=True)
    due = TIMERS[mode].due(1.49, stood, 0.0)
    assert classify(Span(0.0, 0.0), due, stood) is Outcome.REMAINING
