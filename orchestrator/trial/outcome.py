"""What a trial can come to."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace


class Outcome(enum.StrEnum):
    """A trial's result."""

    IMMEDIATE = "immediate"
    """Ticks went on; the first came at once."""
    FULL_PERIOD = "full-period"
    """Ticks went on; the first came after a whole period."""
    REMAINING = "remaining"
    """Ticks went on; the first came when it was due."""
    INDISTINCT = "indistinct"
    """Ticks went on, but timing can't tell which of those it was."""
    MISSED = "missed"
    """Ticks went on with periods missing."""
    LOST = "lost"
    RECOVERED = "recovered"
    """Silent past the limit, then ticked unaided."""
    CRASHED = "crashed"
    UNKNOWN = "unknown"
    """The harness could not tell. Never counted as good."""

    @property
    def ticked(self) -> bool:
        """Whether ticks went on as they should: not a loss, not an anomaly."""
        return self in TICKED


TICKED = frozenset({Outcome.IMMEDIATE, Outcome.FULL_PERIOD, Outcome.REMAINING, Outcome.INDISTINCT})


@dataclass(frozen=True, slots=True)
class FirstTick:
    """When the first tick came after a load."""

    periods: float
    """By the guest's progress: its spins since the save, over spins per period."""
    wall_periods: float
    """By the host's clock, from `cont` to the line's arrival, less the time of printing it."""
    ms: float
    """By the host's clock, from `cont` to the line's arrival, in milliseconds."""


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What was seen in one trial."""

    outcome: Outcome
    first_tick: FirstTick | None = None
    missing_periods: int = 0
    """Periods without their tick, where the outcome is `missed`."""
    why: str = ""
    """For an outcome that is not plain ticking: what was seen."""
    ticks_after_load: int = 0
    """Ticks that were heard before it fell silent; what the bug loses is the first."""
    stale_bytes: int = 0
    """Console bytes from before the load that were thrown away."""
    duration_ns: int = 0
    vcpu: int = 0
    """The vCPU that all of this is of."""
    vcpus: "tuple[TrialResult, ...]" = ()
    """What was seen on each vCPU, where there are several."""

    @property
    def each(self) -> "tuple[TrialResult, ...]":
        """What was seen on each vCPU."""
        return self.vcpus or (self,)


#: Outcomes that are not plain ticking, the gravest first.
_GRAVITY = (Outcome.LOST, Outcome.CRASHED, Outcome.RECOVERED, Outcome.UNKNOWN, Outcome.MISSED)


def combine(results: Sequence[TrialResult]) -> TrialResult:
    """Return what the results of a machine's vCPUs amount to.

    That is the gravest of them. Where all ticked on it is the first vCPU's, whose phase
    was chosen when the save was taken.
    """
    if len(results) == 1:
        return results[0]
    gravity = {outcome: place for place, outcome in enumerate(_GRAVITY)}
    worst = min(results, key=lambda result: gravity.get(result.outcome, len(gravity)))
    return replace(worst, vcpus=tuple(results))


#: How far a first tick may lie from where its class puts it, in periods.
TOLERANCE = 0.15

#: Progress and wall time must agree to this, in periods, before timing says anything.
AGREEMENT = 0.25

#: From here on, in periods, a tick is missing. Both clocks must say so.
MISSING = 1.5


def classify(first: FirstTick, phase: float) -> tuple[Outcome, int]:
    """Say which kind of first tick this is, and how many periods went without one.

    In the middle of the period the kinds lie further apart than what a measurement may be
    off. Early in it, what is left of a period is nearly a full one; late, it is nearly
    nothing: a first tick that fits two kinds is `indistinct`.

    Args:
        first: when it came.
        phase: how far into the period the save was taken, 0 to 1.
    """
    agreed = min(first.periods, first.wall_periods)
    if agreed >= MISSING:
        return Outcome.MISSED, round(agreed) - 1 or 1
    if abs(first.periods - first.wall_periods) > AGREEMENT:
        return Outcome.INDISTINCT, 0
    due = {Outcome.IMMEDIATE: 0.0, Outcome.REMAINING: 1 - phase, Outcome.FULL_PERIOD: 1.0}
    at = max(0.0, first.periods)
    fitting = [kind for kind, when in due.items() if abs(at - when) <= TOLERANCE]
    return (fitting[0] if len(fitting) == 1 else Outcome.INDISTINCT), 0
