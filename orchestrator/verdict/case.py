"""The case of a cell, from which its verdict is decided, and the finding of a rule."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from orchestrator.bugs.exposure import Exposure
from orchestrator.bugs.likeness import Likeness
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.findings.series import DirectCounts
from orchestrator.findings.witness import Statement
from orchestrator.stats.pairs import NO_PAIRS, PairCounts
from orchestrator.stats.rate import LossRate
from orchestrator.stats.stopping import losses_to_be_sure
from orchestrator.verdict.ending import COMPLETE, Ending
from orchestrator.verdict.fixed_tick import FixedTick
from orchestrator.verdict.period_change import PeriodChange
from orchestrator.verdict.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Tally:
    """The counts of a cell."""

    outcomes: Counter[Outcome]
    """Trials by outcome. `unknown` counts those whose last attempt was unknown."""
    causes: Counter[Cause]
    bug_losses: int
    """Losses as the known bug causes them: the first tick of a one-shot timer, diagnosed as
    lost."""
    attempts: int
    unknown_attempts: int
    controls_seen: int
    controls: int
    planned: int | None = None
    """Planned number of trials, if the campaign could end at another number."""
    cells: int = 1
    """Cells of the run. They share the error rate of a false `affected`."""
    vcpus: int = 1
    """vCPUs of the guest. A load can be wrongly diagnosed once for each."""
    on_other_vcpus: Counter[Outcome] = field(default_factory=Counter)
    """The outcomes of the vCPUs beside the one that decides a trial's outcome."""
    pairs: PairCounts = NO_PAIRS
    """Pairs of a load and a sham since the first late tick."""
    missed_as_lost: int = 0
    """Missed ticks that may be losses: of a timer that runs on by itself, beyond those that shams
    missed."""
    first_pairs: PairCounts | None = None
    """The pairs at the first reading of their test; None if it was not reached."""
    unrestored: str = ""
    """The grounds on which a control's load restored no timer; empty without any."""

    @property
    def trials(self) -> int:
        """Trials of eligible saves, including those that stayed unknown."""
        return self.outcomes.total()

    def sure(self, confidence: float) -> int:
        """Return how many diagnosed losses are too many to be the observer's errors."""
        watched = max(self.planned or 0, self.trials) * self.vcpus
        return losses_to_be_sure(watched, (1 - confidence) / self.cells)


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that the rules of a verdict may look at."""

    tally: Tally
    rate: LossRate
    rule_out: float
    """The loss rate that the plan wants ruled out."""
    exposure: Exposure
    likenesses: tuple[Likeness, ...] = ()
    """Known bugs that trials look like, without the bug that makes a host `affected`."""
    ending: Ending = COMPLETE
    """Whether the campaign came to its end."""
    period_changes: tuple[PeriodChange, ...] = ()
    """The changes of vCPUs' timer periods by loads that all times between ticks show."""
    fixed_tick: FixedTick | None = None
    """The first ticks that came at one time, whatever was left of the period in their saves."""
    expired_saves: int = 0
    """Saves whose timer ran out between the stop and the save."""
    saves: int = 0
    posts_timers: bool = False
    """True if KVM may post a timer that runs out while the guest is stopped."""
    untested_enlightenments: tuple[str, ...] = ()
    """Hyper-V enlightenments of the guest's CPU model under KVM, unless it ticks by their timer."""
    timer_in_saves: bool = True
    """Whether the timer runs in the saves that are loaded."""
    apicv_required: bool = False
    """True if the plan wants no verdict from a host without APICv."""
    witnesses: tuple[Statement, ...] = ()
    """The statements of second witnesses about losses that were diagnosed as the known bug."""
    direct: DirectCounts | None = None
    """The direct test on the same host, if it was run."""
    saves_again: int = 0
    """Saves of a guest that had been loaded before."""
    failed_saves: int = 0
    """Attempts to save such a guest that came to nothing, nobody knows why."""
    failed_save_why: str = ""
    """The words for the last of them."""
    stopped_unloaded: Mapping[Outcome, int] = field(default_factory=dict)
    """Guests that stopped ticking although they were never loaded, by how that ended."""
    stopped_why: str = ""
    """The words for the last of them."""
    went_down: tuple[str, ...] = ()
    """The trials in which the host went down, in words such as `in trial 3`."""
    ask_witness_by: str = "`losttick probe`"
    """The command that asks a second witness."""

    @property
    def sure(self) -> int:
        """How many diagnosed losses are too many to be the observer's errors."""
        return self.tally.sure(self.rate.confidence)


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict, as one rule gives it."""

    verdict: Verdict
    why: str
    trusted: bool = True
    """True if loads without a loss can be trusted, so that they rule out loss rates."""
    says_rates: bool = True
    """True if the loss rates that are ruled out belong to the reason."""
    notes: tuple[str, ...] = ()
    """Sentences that follow the loss rates."""
    tells_periods: bool = False
    """True if changed periods are the reason."""


Rule = Callable[[Case], Finding | None]
"""Returns a finding, or None if the rule does not apply."""

Note = Callable[[Case, Finding], str | None]
"""Returns a sentence that every verdict of such a case has to state, or None."""


def said_causes(tally: Tally) -> str:
    """Return how many diagnoses named each cause, such as `2 console dead`."""
    return ", ".join(f"{count} {cause}" for cause, count in tally.causes.items())
