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


#: How far a first tick may lie from where its class puts it, in periods.
TOLERANCE = 0.15

#: Progress and wall time must agree to this, in periods, before timing says anything.
AGREEMENT = 0.25

#: From here on, in periods, a tick is missing. Both clocks must say so.
MISSING = 1.5


@dataclass(frozen=True, slots=True)
class WentOn:
    """When a loaded machine went on, in periods."""

    since_load: float = 0.0
    """From the end of the load until it was told to. A LAPIC that does not stop with its
    machine runs in that time; of one that does it is 0."""
    answering: float = 0.0
    """Until it said that it does: it may have gone on at any time in it."""
    lapic_stood: bool = False
    """Whether the LAPIC stands still with its machine, and so keeps what remains."""


AT_ONCE = WentOn()


def classify(first: FirstTick, phase: float, went_on: WentOn = AT_ONCE) -> tuple[Outcome, int]:
    """Say which kind of first tick this is, and how many periods went without one.

    In the middle of the period the kinds lie further apart than what a measurement may be
    off. Early in it, what is left of a period is nearly a full one; late, it is nearly
    nothing: a first tick that fits two kinds is `indistinct`. So it is where the machine
    took long to go on: by then a part of the full period had passed.

    Args:
        first: when it came.
        phase: how far into the period the save was taken, 0 to 1.
        went_on: when the machine did.
    """
    agreed = min(first.periods, first.wall_periods)
    if agreed >= MISSING:
        return Outcome.MISSED, round(agreed) - 1 or 1
    behind = first.wall_periods - first.periods
    if not -AGREEMENT <= behind <= AGREEMENT + went_on.answering:
        return Outcome.INDISTINCT, 0
    full = 1 - went_on.since_load
    due = {
        Outcome.IMMEDIATE: (0.0, 0.0),
        # The load's answer took about as long to arrive: it had ended before.
        Outcome.FULL_PERIOD: (full - 2 * went_on.answering, full),
    }
    # A kernel's LAPIC keeps nothing, as QEMU restores no current count. To say that one did
    # takes better timing than where the machine took long to go on.
    if went_on.lapic_stood or went_on.answering <= TOLERANCE:
        due[Outcome.REMAINING] = (1 - phase, 1 - phase)
    at = max(0.0, first.periods)
    fitting = [
        kind for kind, (low, high) in due.items() if low - TOLERANCE <= at <= high + TOLERANCE
    ]
    return (fitting[0] if len(fitting) == 1 else Outcome.INDISTINCT), 0
