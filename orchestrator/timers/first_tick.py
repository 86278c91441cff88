"""Tells which class of first tick followed a load."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.findings.outcome import Outcome
from orchestrator.timers.gap import missing

#: How far a first tick may lie from the time at which its class is due, in periods.
TOLERANCE = 0.15

#: Most of the width of a class, in periods, that counts towards the periods that are missing.
_MOST_UNSURE = 0.2


@dataclass(frozen=True, slots=True)
class Span:
    """When the first tick came after the guest resumed, in periods."""

    low: float
    """Running time of the vCPU."""
    high: float
    """At most so much time passed: the vCPU may have waited for a CPU."""


@dataclass(frozen=True, slots=True)
class ResumeTiming:
    """When a loaded VM resumed, in periods."""

    since_load: float = 0.0
    """Time from the end of the load to `cont`. A LAPIC that does not stop with its VM runs
    in this time; for a LAPIC that stops, the value is 0."""
    answering: float = 0.0
    """Time from `cont` until the guest ran, at most."""
    loading: float = 0.0
    """Time from the command to load to its answer. The LAPIC was restored at some moment
    within it."""
    lapic_stood: bool = False
    """Whether the LAPIC stops with its VM, and so keeps the remaining time of a period."""

    until_tick: float = math.inf
    """Time from the command to load to the first tick, at most. A period that began in the
    load cannot end before."""
    until_deadline: tuple[float, float] | None = None
    """Time from when the guest resumed until its TSC reached the deadline that it had written, at
    least and at most; None if nothing tells."""


AT_ONCE = ResumeTiming()


def lapic_due(phase: float, resumed: ResumeTiming) -> Mapping[Outcome, tuple[float, float]]:
    """Return when the first tick of a LAPIC timer is due, in periods, for each class."""
    # A period that ended before `cont` leaves a tick that is pending: it comes at once.
    full = max(0.0, 1 - resumed.since_load)
    # The load's answer took about as long to arrive as QEMU took to resume: the load had ended
    # before. A LAPIC that stops with its VM did not run in this time.
    ran = 0.0 if resumed.lapic_stood else 2 * resumed.answering
    due = {Outcome.IMMEDIATE: (0.0, 0.0), Outcome.FULL_PERIOD: (full - ran, full)}
    # A kernel's LAPIC keeps no remaining time, as QEMU restores no current count. To claim
    # that it does takes better timing than a slow load or a slow resume allows.
    if resumed.lapic_stood or resumed.loading + resumed.answering <= TOLERANCE:
        due[Outcome.REMAINING] = remaining_due(phase)
    return due


def remaining_due(phase: float) -> tuple[float, float]:
    """Return when a timer that keeps its remaining time is due, in periods: at once if overdue."""
    left = max(0.0, 1 - phase)
    return left, left


def kernel_due(
    phase: float, resumed: ResumeTiming, tick: float
) -> Mapping[Outcome, tuple[float, float]]:
    """Return when the first tick is due if a kernel counts interrupts to ticks, in periods.

    A kernel takes an interrupt for a tick if one is due by its own clock, which a load sets back
    to the save. So the tick comes at about its remaining time, whenever the first interrupt came,
    and timing tells no class of a kernel's LAPIC from another. QEMU's own LAPIC keeps the
    remaining time of every interrupt.

    Args:
        phase: where in the period the save was taken.
        resumed: when the loaded VM resumed.
        tick: longest time between two interrupts, in periods.
    """
    left = max(0.0, 1 - phase)
    span = (max(0.0, left - tick), left + tick)
    if resumed.lapic_stood:
        return {Outcome.REMAINING: span}
    return dict.fromkeys((Outcome.IMMEDIATE, Outcome.FULL_PERIOD, Outcome.REMAINING), span)


def classify(
    span: Span,
    due: Mapping[Outcome, tuple[float, float]],
    resumed: ResumeTiming = AT_ONCE,
) -> Outcome:
    """Return the outcome that a first tick shows.

    In the middle of the period the classes lie further apart than the error of a
    measurement. Early in the period the remaining time is nearly a full period, and late in
    it nearly nothing: a first tick that fits two classes is `indistinct`. The same holds for
    a vCPU that waited for a CPU, and for a VM that took long to resume.

    Args:
        span: when the tick came.
        due: earliest and latest time of each class, in periods.
        resumed: when the loaded VM resumed.
    """
    could_be = dict(due)
    if resumed.until_tick < 1 - TOLERANCE:
        could_be.pop(Outcome.FULL_PERIOD, None)
    fitting = [kind for kind, (low, high) in could_be.items() if _fits(span, low, high)]
    slow = resumed.answering >= 2 * TOLERANCE
    if fitting == [Outcome.FULL_PERIOD] and slow and span.high < due[fitting[0]][1] - 2 * TOLERANCE:
        # The VM took so long to resume that this class reaches far down, and that the remaining
        # time, which is no class then, could be as long.
        return Outcome.INDISTINCT
    if fitting:
        return fitting[0] if len(fitting) == 1 else Outcome.INDISTINCT
    late = past_due(span, due)
    if late > 0:
        return Outcome.MISSED if missing(late) else Outcome.LATE
    # The period may have begun anywhere in the load, and ends so much earlier then.
    slack = TOLERANCE + resumed.loading + resumed.answering
    possible = any(low - slack <= span.high <= high for low, high in could_be.values())
    return Outcome.INDISTINCT if possible else Outcome.EARLY


def past_due(span: Span, due: Mapping[Outcome, tuple[float, float]]) -> float:
    """Return the running time by which a first tick came after every class was due, in periods."""
    return span.low - max(high for _, high in due.values())


def missing_at_first(span: Span, due: Mapping[Outcome, tuple[float, float]]) -> int:
    """Return how many whole periods passed without their tick before the first tick.

    A VM that took long to resume had its tick due sooner after that than the latest moment of
    the class.
    """
    low, high = max(due.values(), key=lambda each: each[1])
    return max(1, missing(past_due(span, due) + min(high - low, _MOST_UNSURE)))


def late_in_class(span: Span, due: Mapping[Outcome, tuple[float, float]]) -> float:
    """Return by how much a first tick may have been late for a class that it fits, in periods."""
    fitting = (low for low, high in due.values() if _fits(span, low, high))
    return max(0.0, span.high - min(fitting, default=span.high))


def _fits(span: Span, low: float, high: float) -> bool:
    """Return whether a first tick may have come at the time at which a class is due."""
    return span.low <= high + TOLERANCE and low - TOLERANCE <= span.high


def in_words(span: Span, due: Mapping[Outcome, tuple[float, float]]) -> str:
    """Return when a first tick came, and when it was due."""
    classes = ", ".join(f"{kind} {low:.2f} to {high:.2f}" for kind, (low, high) in due.items())
    least, most = (missing_at_first(Span(at, at), due) for at in (span.low, span.high))
    return (
        f"the first tick came {span.low:.2f} to {span.high:.2f} periods after the guest "
        f"resumed (it ran for the first number of them); due were: {classes}"
    ) + (f"; by the second number {most} periods passed without their tick" if most > least else "")


def follows_a_class(span: Span, due: Mapping[Outcome, tuple[float, float]]) -> bool:
    """Return whether a class of first tick was due before a first tick came.

    A tick that waited belongs to that class. No wait makes a tick come before the first class.
    """
    return any(high < span.low for _, high in due.values())


def past_a_class(span: Span, due: Mapping[Outcome, tuple[float, float]]) -> float:
    """Return the running time by which a first tick came after the last class before it was due.

    It is in periods. A tick that QEMU's main loop held back belongs to that class.
    """
    return span.low - max((high for _, high in due.values() if high <= span.low), default=0.0)
