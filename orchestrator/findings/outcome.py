"""What a trial can come to."""

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any


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


#: By name, as a journal has it.
OUTCOME_BY_NAME: Mapping[str, Outcome] = {outcome.value: outcome for outcome in Outcome}


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


#: Outcomes that are not plain ticking, the gravest first. A stall of one vCPU may be why
#: another one's tick was missed.
_GRAVITY = (Outcome.LOST, Outcome.CRASHED, Outcome.RECOVERED, Outcome.UNKNOWN, Outcome.MISSED)


def gravity(result: TrialResult) -> int:
    """Return how far a result is from the gravest."""
    return _GRAVITY.index(result.outcome) if result.outcome in _GRAVITY else len(_GRAVITY)


def combine(
    results: Sequence[TrialResult], key: Callable[[TrialResult], Any] = gravity
) -> TrialResult:
    """Return what the results of a machine's vCPUs amount to: the first in the order of `key`.

    By default that is the gravest. Where all ticked on it is the first vCPU's, whose phase
    was chosen when the save was taken.
    """
    first = min(results, key=key)
    return replace(first, vcpus=tuple(results)) if len(results) > 1 else first
