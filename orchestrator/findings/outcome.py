"""Outcomes, and the results of trials and of their vCPUs."""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.findings.arrival import Arrival


class Outcome(enum.StrEnum):
    """A trial's result."""

    IMMEDIATE = "immediate"
    """Ticks went on; the first came at once."""
    FULL_PERIOD = "full-period"
    """Ticks went on; the first came after a whole period."""
    REMAINING = "remaining"
    """Ticks went on; the first came when it was due."""
    INDISTINCT = "indistinct"
    """Ticks went on, but timing can't tell which of these classes the first had."""
    EARLY = "early"
    """Ticks went on; by the guest's running time the first came before any class is due."""
    LATE = "late"
    """Ticks went on; by the guest's running time a tick came after every class is due, but
    less than a whole period after."""
    MISSED = "missed"
    """Ticks went on with whole periods missing, by the guest's running time."""
    EXTRA = "extra"
    """More ticks came than the time allows, or the LAPIC got other interrupts or another task
    priority."""
    RATE = "rate"
    """Ticks went on with a wrong period."""
    CLOCK = "clock"
    """Ticks went on, but the guest's time jumped."""
    NOT_LOADED = "not-loaded"
    """Ticks went on as if nothing had been loaded, or from another state than the save's."""
    LOST = "lost"
    RECOVERED = "recovered"
    """The guest was silent past the limit, and then ticked again without help."""
    CRASHED = "crashed"
    UNKNOWN = "unknown"
    """The harness could not tell. Never counted as good."""

    @property
    def ticked(self) -> bool:
        """True if ticks went on normally."""
        return self in TICKED


TICKED = frozenset({Outcome.IMMEDIATE, Outcome.FULL_PERIOD, Outcome.REMAINING, Outcome.INDISTINCT})

#: Outcomes of a guest whose ticks did not go on.
STOPPED = frozenset({Outcome.LOST, Outcome.RECOVERED, Outcome.CRASHED})

#: Outcomes of a guest whose ticks went on, normally or not.
CAME = frozenset(Outcome) - STOPPED - {Outcome.UNKNOWN}

#: Outcomes of a guest that had a tick too many or too early.
SURPLUS = frozenset({Outcome.EXTRA, Outcome.EARLY})

#: Outcomes that a busy host brings about without a load, too.
LATE = frozenset({Outcome.LATE, Outcome.MISSED})


@dataclass(frozen=True, slots=True)
class FirstTick:
    """When the first tick came after a load."""

    periods: float
    """Time since the guest resumed, in periods of its running time: time in which the vCPU
    waited for a CPU does not count."""
    wall_periods: float
    """By the host's clock, from `cont` to the line's arrival, less the time of printing it."""
    ms: float
    """By the host's clock, from `cont` to the line's arrival, in milliseconds."""


@dataclass(frozen=True, slots=True)
class VcpuResult:
    """The result of one vCPU in a trial."""

    outcome: Outcome
    first_tick: FirstTick | None = None
    missing_periods: int = 0
    """Number of periods without a tick. It is 0 for every outcome but `missed`."""
    why: str = ""
    """The reason for an outcome other than normal ticks."""
    ticks_after_load: int = 0
    """Ticks after the load. It is 0 after a loss by the known bug, which loses the first tick."""
    vcpu: int = 0
    late_periods: float = 0.0
    """Running time of the guest from the moment at which a tick was due until it came, in
    periods, for the latest tick of the trial. Negative if every tick came before."""
    stolen_periods: float = 0.0
    """Time before that tick in which the vCPU did not run, in periods."""
    gaps: tuple[float, ...] = ()
    """Times between these ticks that came when they were due, in periods."""
    heard: tuple[Arrival, ...] = ()
    """The ticks after the load. Kept in the evidence folder."""
    ahead: bool = False
    """Whether a clock of the guest was ahead of the host's, if the outcome is `clock`."""
    nmis: int = 0
    """NMIs that the guest took after the load although nobody had sent one."""


@dataclass(frozen=True, slots=True)
class TrialResult:
    """The result of one trial.

    The trial's outcome is the outcome of one vCPU, the telling one.
    """

    vcpus: tuple[VcpuResult, ...]
    """The vCPUs that were watched: all of them, unless watching ended early."""
    telling: int = 0
    """The number of the telling vCPU."""
    stale_bytes: int = 0
    """Console bytes from before the load that were discarded."""
    duration_ns: int = 0
    began_ns: int = 0
    """When the trial began, by the host's clock: the guest was about to be stopped and loaded.
    0 if nobody noted the time."""
    resumed_ns: int = 0
    """The earliest moment at which the guest can have run on after the load, by the host's clock;
    0 if it did not run on, or if nobody noted the time."""

    @property
    def told(self) -> VcpuResult:
        """The result of the telling vCPU."""
        return self.of(self.telling) or self.vcpus[0]

    def of(self, vcpu: int) -> VcpuResult | None:
        """Return the result of one vCPU; None if it was not watched."""
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
        """Number of periods in which the telling vCPU missed its tick."""
        return self.told.missing_periods

    @property
    def why(self) -> str:
        """The reason for the outcome of the telling vCPU."""
        return self.told.why

    @property
    def ticks_after_load(self) -> int:
        """Ticks of the telling vCPU after the load."""
        return self.told.ticks_after_load


#: Outcomes other than normal ticks, the gravest first. `missed` comes after `lost`,
#: `crashed` and `unknown`: a stall of one vCPU can make another one miss its tick.
GRAVITY = (
    Outcome.LOST, Outcome.CRASHED, Outcome.RECOVERED, Outcome.NOT_LOADED,
    Outcome.UNKNOWN, Outcome.CLOCK,
    Outcome.RATE, Outcome.EXTRA, Outcome.EARLY, Outcome.MISSED, Outcome.LATE,
)  # fmt: skip


def gravity(result: VcpuResult) -> int:
    """Return a sort key: 0 for the gravest outcome."""
    return GRAVITY.index(result.outcome) if result.outcome in GRAVITY else len(GRAVITY)


def combine(
    results: Sequence[VcpuResult], key: Callable[[VcpuResult], Any] = gravity
) -> TrialResult:
    """Return the result of a trial from the results of its vCPUs.

    The telling vCPU is the first in the order of `key`, by default the gravest. If all of
    them ticked on, it is the first one, whose phase was chosen when the save was taken.
    """
    return TrialResult(tuple(results), min(results, key=key).vcpu)
