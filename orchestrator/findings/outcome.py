"""Outcomes, and the result of a trial: of each vCPU, and of the whole."""

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
    """By the guest's progress since the save, over its progress per period."""
    wall_periods: float
    """By the host's clock, from `cont` to the line's arrival, less the time of printing it."""
    ms: float
    """By the host's clock, from `cont` to the line's arrival, in milliseconds."""


@dataclass(frozen=True, slots=True)
class VcpuResult:
    """What one vCPU did in a trial."""

    outcome: Outcome
    first_tick: FirstTick | None = None
    missing_periods: int = 0
    """Periods that passed without their tick; not 0 only for `missed`."""
    why: str = ""
    """What was seen, for an outcome that is not plain ticking."""
    ticks_after_load: int = 0
    """Ticks that were heard after the load. The known bug loses the first: it leaves 0."""
    vcpu: int = 0


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What was seen in one trial.

    The trial's outcome is the outcome of one vCPU, the telling one.
    """

    vcpus: tuple[VcpuResult, ...]
    """The vCPUs that were watched: all of them, unless watching ended early."""
    telling: int = 0
    """The number of the telling vCPU."""
    stale_bytes: int = 0
    """Console bytes from before the load that were discarded."""
    duration_ns: int = 0

    @property
    def told(self) -> VcpuResult:
        """What the telling vCPU did."""
        return self.of(self.telling) or self.vcpus[0]

    def of(self, vcpu: int) -> VcpuResult | None:
        """Return what one vCPU did; None if it was not watched."""
        return next((part for part in self.vcpus if part.vcpu == vcpu), None)

    @property
    def outcome(self) -> Outcome:
        """The outcome of the telling vCPU."""
        return self.told.outcome

    @property
    def first_tick(self) -> FirstTick | None:
        """When the first tick of the telling vCPU came."""
        return self.told.first_tick

    @property
    def missing_periods(self) -> int:
        """Periods in which the telling vCPU should have ticked and did not."""
        return self.told.missing_periods

    @property
    def why(self) -> str:
        """What was seen of the telling vCPU."""
        return self.told.why

    @property
    def ticks_after_load(self) -> int:
        """Ticks of the telling vCPU that were heard after the load."""
        return self.told.ticks_after_load


#: Outcomes that are not plain ticking, the gravest first. `missed` comes after `lost`,
#: `crashed` and `unknown`: a stall of one vCPU can make another one miss its tick.
_GRAVITY = (Outcome.LOST, Outcome.CRASHED, Outcome.RECOVERED, Outcome.UNKNOWN, Outcome.MISSED)


def gravity(result: VcpuResult) -> int:
    """Return a sort key: 0 for the gravest outcome."""
    return _GRAVITY.index(result.outcome) if result.outcome in _GRAVITY else len(_GRAVITY)


def combine(
    results: Sequence[VcpuResult], key: Callable[[VcpuResult], Any] = gravity
) -> TrialResult:
    """Return the result of a trial from the results of its vCPUs.

    The telling vCPU is the first in the order of `key`, by default the gravest. If all of
    them ticked on, it is the first one, whose phase was chosen when the save was taken.
    """
    return TrialResult(tuple(results), min(results, key=key).vcpu)
