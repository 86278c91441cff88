"""Tells whether a timer's period is longer or shorter after loads than before them.

A period that is some percent off makes no tick late or extra by itself. So all times between
ticks that came when they were due are compared. A busy host lengthens some of them, but hardly
ever nearly all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.stats.exceed import exceedance_p

#: Probability that a period is called another one by mistake in any cell of a run.
ERROR = 0.01

#: At most one in so many times after loads may fail to be beyond those before.
_MOST = 10

#: Part of a period by which they must differ, at least.
LEAST_CHANGE = 0.015

#: Time by which they must differ besides: interrupts come late by so much, now and then.
LATENCY_NS = 200_000


@dataclass(frozen=True, slots=True)
class Gaps:
    """Times between ticks of a vCPU that came when they were due, in periods."""

    before: Sequence[float] = ()
    """The times of guests that were not loaded yet."""
    after: Sequence[float] = ()
    """The times after loads."""
    period_ns: int = 1
    """The timer period of the plan."""


@dataclass(frozen=True, slots=True)
class PeriodChange:
    """A period that is longer or shorter after loads than before."""

    percent: float
    """The change from median to median; negative if the period is shorter."""
    p: float
    before: int
    """Number of times before loads that were compared."""
    after: int
    """Number of times after loads that were compared."""
    vcpu: int = 0


def period_change(gaps: Gaps, tests: int, vcpu: int = 0) -> PeriodChange | None:
    """Return by how much the period differs after loads; None if the test does not show it.

    Both directions are tested, each at half of the error.

    Args:
        gaps: the times before and after loads.
        tests: timers that share the error: those of each vCPU of each cell.
        vcpu: the vCPU whose times they are.
    """
    if not (gaps.before and gaps.after):
        return None
    for sign in (1, -1):
        before = sorted(sign * gap for gap in gaps.before)
        after = sorted(sign * gap for gap in gaps.after)
        p = _beyond(before, after, LEAST_CHANGE + LATENCY_NS / gaps.period_ns)
        if p <= ERROR / 2 / tests:
            percent = 100 * (_median(after) / _median(before) - 1)
            return PeriodChange(percent, p, len(before), len(after), vcpu)
    return None


def _beyond(before: Sequence[float], after: Sequence[float], least: float) -> float:
    """Return the probability that a sorted sample lies so far beyond another by chance.

    It is 1 unless nearly all of its values lie beyond the upper quartile of the other by `least`.
    Times before loads are few, so the quartile tells more than the median. The largest may be that
    of a host that was busy for a moment.
    """
    rank = (3 * len(before) + 3) // 4
    below = sum(gap <= before[rank - 1] + least for gap in after)
    if below * _MOST > len(after):
        return 1.0
    return exceedance_p(len(before), rank, len(after), below)


def _median(values: Sequence[float]) -> float:
    return values[(len(values) - 1) // 2]
