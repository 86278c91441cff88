"""Tells which class of first tick followed a load."""

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.findings.outcome import FirstTick, Outcome

#: How far a first tick may lie from the time at which its class is due, in periods.
TOLERANCE = 0.15


#: How far guest progress and host time may differ, in periods, before timing says nothing.
AGREEMENT = 0.25


#: From this time on, in periods, a tick is missing. Progress and host time must both say so.
MISSING = 1.5


@dataclass(frozen=True, slots=True)
class ResumeTiming:
    """When a loaded VM resumed, in periods."""

    since_load: float = 0.0
    """Time from the end of the load to `cont`. A LAPIC that does not stop with its VM runs
    in this time; for a LAPIC that stops, the value is 0."""
    answering: float = 0.0
    """Time from `cont` to QEMU's RESUME event. The guest resumed at some moment within it."""
    loading: float = 0.0
    """Time from the command to load to its answer. The LAPIC was restored at some moment
    within it."""
    lapic_stood: bool = False
    """Whether the LAPIC stops with its VM, and so keeps the remaining time of a period."""


AT_ONCE = ResumeTiming()


def lapic_due(phase: float, resumed: ResumeTiming) -> Mapping[Outcome, tuple[float, float]]:
    """Return when the first tick of a LAPIC timer is due, in periods, for each class."""
    # A period that ended before `cont` leaves a tick that is pending: it comes at once.
    full = max(0.0, 1 - resumed.since_load)
    due = {
        Outcome.IMMEDIATE: (0.0, 0.0),
        # The load's answer took about as long to arrive: the load had ended before.
        Outcome.FULL_PERIOD: (full - 2 * resumed.answering, full),
    }
    # A kernel's LAPIC keeps no remaining time, as QEMU restores no current count. To claim
    # that it does takes better timing than a slow load or a slow resume allows.
    if resumed.lapic_stood or resumed.loading + resumed.answering <= TOLERANCE:
        due[Outcome.REMAINING] = (1 - phase, 1 - phase)
    return due


def classify(
    first: FirstTick,
    due: Mapping[Outcome, tuple[float, float]],
    resumed: ResumeTiming = AT_ONCE,
) -> tuple[Outcome, int]:
    """Return the class of a first tick, and how many periods passed without their tick.

    In the middle of the period the classes lie further apart than the error of a
    measurement. Early in the period the remaining time is nearly a full period, and late in
    it nearly nothing: a first tick that fits two classes is `indistinct`. The same holds for
    a VM that took long to resume: part of the full period had passed by then.

    Args:
        first: when the tick came.
        due: earliest and latest time of each class, in periods.
        resumed: when the loaded VM resumed.
    """
    agreed = min(first.periods, first.wall_periods)
    if agreed >= MISSING:
        return Outcome.MISSED, round(agreed) - 1 or 1
    behind = first.wall_periods - first.periods
    if not -AGREEMENT <= behind <= AGREEMENT + resumed.answering:
        return Outcome.INDISTINCT, 0
    at = max(0.0, first.periods)
    fitting = [
        kind for kind, (low, high) in due.items() if low - TOLERANCE <= at <= high + TOLERANCE
    ]
    return (fitting[0] if len(fitting) == 1 else Outcome.INDISTINCT), 0
