"""Judges a first tick that came before a class of first tick was due.

A wait for a CPU only makes a tick later. So it explains such a tick if another class was due
before, and never if none was.
"""

from collections.abc import Mapping

from orchestrator.findings.outcome import Outcome
from orchestrator.findings.save import VcpuSave
from orchestrator.timers.first_tick import ResumeTiming, Span, classify, follows_a_class
from orchestrator.trial.pace import Pace


def sooner(pace: Pace, save: VcpuSave, resumed: ResumeTiming, period_ns: int) -> float:
    """Return by how much sooner a first tick may come than its save's phase says, in periods.

    A vCPU that waited for a CPU when it was stopped has a later phase than its own TSC says, and
    QEMU's LAPIC keeps what was left of that.

    Args:
        pace: the vCPU's pace.
        save: the vCPU's state in the save.
        resumed: when the loaded VM resumed.
        period_ns: the timer's period.
    """
    if not resumed.lapic_stood:
        return 0.0
    return max(pace.longest_wait_periods, save.since_turn_ns / period_ns)


def early_or_late(
    span: Span,
    due: Mapping[Outcome, tuple[float, float]],
    resumed: ResumeTiming,
    *,
    later: float,
    waits_unseen: bool,
) -> Outcome:
    """Return what a first tick shows that fits no class, and is too early for the last one.

    Args:
        span: when the tick came.
        due: earliest and latest time of each class, in periods.
        resumed: when the loaded VM resumed.
        later: time after the resume by which the tick came for sure, in periods.
        waits_unseen: whether the vCPU may have waited for a CPU without a note of it, so that the
            tick may be a late one of a class before. Shams show how often this host makes ticks
            late.
    """
    if classify(Span(span.low, later), due, resumed).ticked:
        return Outcome.INDISTINCT
    return Outcome.LATE if waits_unseen and follows_a_class(span, due) else Outcome.EARLY
