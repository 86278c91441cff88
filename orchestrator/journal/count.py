"""What a cell's campaign has counted so far."""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.stats.save_effect import BySave
from orchestrator.timers.timer import Timer

#: Attempts at one trial; each is journalled and counted.
MAX_ATTEMPTS = 3


#: Looked up once: to count is what a journal of millions takes its time for.
_UNKNOWN, _LOST = Outcome.UNKNOWN, Outcome.LOST


class Arm(StrEnum):
    """Which question a trial answers."""

    HOST = "host"
    """Does this host lose ticks?"""
    CONTROL = "control"
    """Would a loss be seen? The guest swallows its own tick."""


@dataclass(frozen=True, slots=True)
class Control:
    """One run of the built-in control."""

    seen: bool
    outcome: Outcome
    cause: Cause | None
    sentence: str


@dataclass(slots=True)
class CellCampaign:
    """What a cell's campaign has counted so far."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    causes: Counter[Cause] = field(default_factory=Counter)
    attempts: int = 0
    unknown_attempts: int = 0
    saves: int = 0
    lossy_saves: int = 0
    """Saves of which at least one load was lost."""
    by_save: BySave = field(default_factory=BySave)
    """How the losses fall on saves."""
    lost_by_vcpu: Counter[int] = field(default_factory=Counter)
    """How often each vCPU lost its timer; one load may lose several."""
    bug_losses: int = 0
    """Losses as the bug makes them: the first tick of a one-shot timer, diagnosed as lost."""
    controls: list[Control] = field(default_factory=list)
    first_tick_periods: "array[float]" = field(default_factory=lambda: array("d"))
    first_tick_ms: "array[float]" = field(default_factory=lambda: array("d"))
    trace: str | None = None
    """What the kernel recorded of the last loads on the first instance."""
    failure: str | None = None
    """Why the campaign ended early."""
    out_of_time: bool = False
    """Whether the time for its trials was up before all had been run."""

    def begin_save(self) -> None:
        """Count an eligible save."""
        self.saves += 1
        self.by_save.begin()

    def count(
        self,
        outcome: Outcome,
        attempt: int,
        *,
        cause: Cause | None,
        of_the_bug: bool,
        first_tick: tuple[float, float] | None,
        lost_vcpus: Iterable[int],
    ) -> bool:
        """Count an attempt at a trial.

        Args:
            outcome: as its diagnosis corrected it.
            attempt: at this trial, from 1.
            cause: what its diagnosis was, if it has one.
            of_the_bug: whether a loss so diagnosed is one as the bug makes them: the first
                tick of a one-shot timer.
            first_tick: when that came, in periods of the guest's progress and in milliseconds.
            lost_vcpus: those whose timer was lost.

        Returns:
            Whether this resolves the trial.
        """
        self.attempts += 1
        unknown, lost = outcome is _UNKNOWN, outcome is _LOST
        self.unknown_attempts += unknown
        resolved = not unknown or attempt >= MAX_ATTEMPTS
        if resolved:
            self.outcomes[outcome] += 1
            if not unknown:
                self.by_save.count(lost=lost)
            if lost:
                self.lossy_saves += 1
                self.lost_by_vcpu.update(lost_vcpus)
            if cause:
                self.causes[cause] += 1
                self.bug_losses += of_the_bug and cause is Cause.LOST_INTERRUPT
        if first_tick:
            periods, ms = first_tick
            self.first_tick_periods.append(periods)
            self.first_tick_ms.append(ms)
        return resolved


def control_subject(number: int, vcpus: int) -> int:
    """Return the vCPU that the control of this number, from 1, is on: the last one first."""
    return -number % vcpus


def control_seen(
    timer: Timer, outcomes: Mapping[int, Outcome], causes: Mapping[int, Cause], subject: int
) -> bool:
    """Return whether an injected loss was seen for what it is, on the vCPU that it was made on.

    The other vCPUs must tick on, unless the load lost their interrupts as well: then the
    host has the bug.

    Args:
        timer: by which the guest ticks.
        outcomes: of the trial, by vCPU.
        causes: of each silence, by vCPU.
        subject: the vCPU.
    """

    def lost(vcpu: int) -> bool:
        return timer.control_lost(outcomes[vcpu], causes.get(vcpu))

    others = outcomes.keys() - {subject}
    return subject in outcomes and lost(subject) and all(
        outcomes[vcpu].ticked or lost(vcpu) for vcpu in others
    )  # fmt: skip
