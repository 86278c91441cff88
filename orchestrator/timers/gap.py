"""Tells whether the time between two ticks is right.

The TSC of a guest runs on while its vCPU waits for a CPU. So the time between two ticks is
at least a period by the TSC, and at most a period in the vCPU's running time.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.findings.outcome import Outcome

#: Longest time between two ticks in the guest's running time, in periods. A longer one is
#: late.
LATE = 1.1

#: Least running time in nanoseconds past due from which on a tick is late: on a virtual
#: machine an interrupt comes up to 0.7 ms late though the vCPU runs.
LATE_NS = 1_000_000

#: Longest time by which a tick may have come late though the vCPU ran: after a wait for a CPU, or
#: so that the next tick of a timer that runs by itself came sooner. One virtual machine's KVM
#: delivers up to 1.3 ms late.
DELIVERY_NS = 2_000_000

#: Shortest time between two ticks by the TSC, in periods. After a shorter one the tick is
#: `extra`.
EXTRA = 0.97

#: From this time past due on, in periods, whole periods are missing.
WHOLE = 0.9

#: How far two measurements of one period may lie apart.
_AGREE = 0.1

#: Fewest gaps that are wrong by themselves from which a wrong rate can be told.
_WRONG_GAPS = 3

#: Fewest gaps that must agree.
_GAPS = 4

#: Period, in periods of the plan, from which on ticks that the guest arms one by one show a wrong
#: rate by themselves. A virtual machine was seen whose KVM made 17 in a row 1.2 ms late.
SURE_RATE = 1.4

#: Ticks to follow after one at a wrong time. On a busy host few of them tell the rate.
RATE_TICKS = 16


@dataclass(frozen=True, slots=True)
class Gap:
    """The time between two ticks, in periods."""

    periods: float
    """The time by the TSC."""
    stolen: float
    """The part in which the vCPU did not run."""
    held_back: float = 0.0
    """How late the first of the two ticks may have been. The next tick of a timer that runs by
    itself comes so much sooner."""
    slack: float = LATE - 1
    """Running time by which a tick may be late."""
    ticks: int = 1
    """Ticks from the first one to the second one: more than 1 if lines are missing."""
    usual: float = 1.0
    """Usual time between two ticks. It is over a period if the guest holds its ticks back; a
    guest that does not get to run in time does not, and its tick comes after a period."""
    ran_last: float = 0.0
    """Time just before the second tick in which the vCPU ran without a break; 0 if unknown."""
    at_once: float = LATE - 1
    """Longest time for which the vCPU runs before a tick that had waited for it."""
    held_up: float = 0.0
    """The part of `stolen` from the first tick until its line was printed. The handler may not
    have armed the timer before."""

    @property
    def behind(self) -> float:
        """How far the second tick may be behind a timer that catches up, in periods."""
        return max(self.stolen, self.held_back + self.periods - self.ticks)

    @property
    def running(self) -> float:
        """Running time of the vCPU, in periods."""
        return self.periods - self.stolen

    @property
    def least(self) -> float:
        """Time after the first tick at which the second tick was due, at least, in periods.

        A tick that was due while the vCPU waited for a CPU comes as soon as the vCPU runs. So
        a tick that comes when the vCPU has run for a while was due at that moment.
        """
        if self.ran_last > self.at_once:
            return max(self.running, self.periods - self.held_up)
        return self.running

    @property
    def late(self) -> float:
        """Time past due for which the vCPU's wait for a CPU is no reason, in periods."""
        return self.least - self.ticks * self.usual


def lag(gaps: Sequence[Gap], first: float = 0.0) -> float:
    """Return how late the last tick of a timer that runs by itself may have been, in periods.

    It is as late as its distance from the earliest ticks exceeds whole periods. Whoever delivers
    the ticks may hold one back without keeping the vCPU from running, as QEMU's main loop does.

    Args:
        gaps: the gaps from the first tick to the last one.
        first: how late the first tick may have been. Several ticks may come late by as much.
    """
    drifts = list(itertools.accumulate((gap.periods - gap.ticks for gap in gaps), initial=0.0))
    return drifts[-1] - min(-first, *drifts)


def missing(late: float) -> int:
    """Return the number of whole periods in a time past due, in periods."""
    return math.floor(late - WHOLE + 1 + 1e-9) if late > 0 else 0


def judge(gap: Gap) -> Outcome | None:
    """Return what is wrong with a gap: `extra`, `late` or `missed`; None if nothing is."""
    if gap.periods < EXTRA * gap.ticks - gap.held_back:
        return Outcome.EXTRA
    if missing(gap.late):
        return Outcome.MISSED
    return Outcome.LATE if gap.late > gap.slack else None


def steady_period(gaps: Sequence[Gap], *, reloads: bool) -> float | None:
    """Return the wrong period that all gaps agree on, in periods of the plan; None if they don't.

    A gap bounds the period: it is at least `least`, and at most the time by the TSC, plus the
    time by which the first tick was late. At least three gaps must be wrong by
    themselves: on a busy host a single gap that is a little late agrees with all others.

    Args:
        gaps: successive gaps.
        reloads: whether the timer runs by itself. Then the times by which single ticks come late
            do not add up, but a wrong period does.
    """
    wrong = sum(judge(gap) is not None for gap in gaps)
    if len(gaps) < _GAPS or wrong < _WRONG_GAPS:
        return None
    if reloads:
        whole = sum(gap.ticks * gap.usual for gap in gaps)
        least = (sum(gap.least for gap in gaps) - gaps[-1].slack) / whole
        most = (sum(gap.periods for gap in gaps) + gaps[0].held_back) / whole
        if least <= 2 - EXTRA and most >= EXTRA:
            return None
    low = max(gap.least / gap.ticks / gap.usual for gap in gaps)
    high = min((gap.periods + gap.held_back) / gap.ticks / gap.usual for gap in gaps)
    return max(low, min(high, 1.0)) if low <= high + _AGREE else None
