"""The verdicts of a direct test, from the state that its journal folds to."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator.bugs.catalogue import APICV_BUG, NARROW_RACE
from orchestrator.bugs.exposure import Exposure, ExposureState, exposure
from orchestrator.findings.lab import LabIdentity
from orchestrator.findings.series import Series
from orchestrator.guest.config import DEFAULT_TIMER
from orchestrator.host.facts import HostFacts
from orchestrator.journal.direct import DirectState, TestedHost
from orchestrator.stats.rate import Losses, LossRate, loss_rate
from orchestrator.verdict.arm import lab_ends, lab_verdict
from orchestrator.verdict.pattern import (
    REFUTED,
    TELLING_NS,
    Pattern,
    few_later,
    mixed_words,
    read_pattern,
    shown,
)
from orchestrator.verdict.verdict import Ended, Verdict, overall
from orchestrator.vm.config import Accel


@dataclass(frozen=True, slots=True)
class SeriesResult:
    """Trials with one restored current count, and the loss rate that they allow."""

    series: Series
    loss_rate: LossRate


@dataclass(frozen=True, slots=True)
class HostResult:
    """One tested host, and its verdict."""

    name: str
    facts: HostFacts | None
    """None if the host did not come up."""
    lab: LabIdentity | None
    series: tuple[SeriesResult, ...]
    control: SeriesResult | None
    exposure: Exposure
    verdict: Verdict
    why: str
    failed: bool = False
    """True if the harness failed on this host."""


@dataclass(frozen=True, slots=True)
class DirectResult:
    """A direct test, and its verdict."""

    verdict: Verdict
    hosts: tuple[HostResult, ...]
    journal: Path
    mode: str = DEFAULT_TIMER
    """The mode of the timers that were restored."""
    interrupted: str | None = None
    """Why the test has not come to its end; None if it has."""
    losttick: str = ""
    """The version that ran it."""
    began_at: str = ""
    """UTC, in ISO 8601."""
    ended_at: str = ""
    """Empty if it was killed, or goes on."""
    went_down: str = ""
    """Where the host went down, in words; empty if it did not, or is not known to."""
    confidence: float = 0.95
    """Confidence of the intervals."""
    period_ns: int = 0
    """The period of the timers that was asked for; 0 if nobody noted it."""

    @property
    def failed(self) -> bool:
        """True if the harness failed on any host."""
        return any(host.failed for host in self.hosts)

    @property
    def ends(self) -> list[Ended]:
        """The ends of the hosts that decide the exit code."""
        ends = [Ended(host.verdict, host.failed) for host in self.hosts]
        arms = [host.lab for host in self.hosts if host.lab]
        by_arms = len(arms) == len(ends) > 0
        return lab_ends(list(zip(arms, ends, strict=True))) if by_arms else ends


def judge_direct(state: DirectState, journal: Path) -> DirectResult:
    """Return the verdicts of a direct test and of each tested host.

    Args:
        state: of the test, finished or not.
        journal: where the records are.
    """
    hosts = tuple(_judge_host(name, host, state) for name, host in state.hosts.items())
    arms = [(host.lab, host.verdict) for host in hosts if host.lab]
    by_arms = len(arms) == len(hosts) > 0
    interrupted = None
    if state.verdict is None:
        interrupted = state.interrupted or "its journal names no reason"
    return DirectResult(
        lab_verdict(arms) if by_arms else overall([host.verdict for host in hosts]),
        hosts, journal, state.mode, interrupted, state.losttick, state.began_at, state.ended_at,
        confidence=state.confidence, period_ns=state.period_ns,
    )  # fmt: skip


def _judge_host(name: str, host: TestedHost, state: DirectState) -> HostResult:
    series = tuple(_with_rate(each, state.confidence) for each in host.series)
    control = _with_rate(host.control, state.confidence) if host.control else None
    if host.facts is None:
        exposed = Exposure(ExposureState.UNKNOWN, "its host did not come up")
    else:
        exposed = exposure(host.facts, Accel.KVM, state.mode)
    early = host.failure if host.failure is not None else host.skipped
    if host.skipped is not None and not series:
        verdict, why = Verdict.SKIPPED, host.skipped
    elif control is None or early is not None:  # what fails after its control may have miscounted
        ended = early or "the test was interrupted"
        lost = shown(host.series)
        verdict, why = Verdict.INCONCLUSIVE, f"{ended}; until then, lost {lost}" if lost else ended
    else:
        verdict, why = direct_verdict(series, control, exposed, state.mode)
    return HostResult(
        name, host.facts, host.lab, series, control, exposed, verdict, why,
        failed=host.failure is not None and not host.transient,
    )  # fmt: skip


def _with_rate(series: Series, confidence: float) -> SeriesResult:
    return SeriesResult(series, loss_rate(Losses(series.trials, series.lost), confidence))


def direct_verdict(
    results: tuple[SeriesResult, ...],
    control: SeriesResult,
    exposed: Exposure,
    mode: str = DEFAULT_TIMER,
) -> tuple[Verdict, str]:
    """Return the verdict of a finished direct test on one host, and what the verdict rests on."""
    tested = [result.series for result in results]
    if any(series.lost for series in tested):
        verdict, what = _of_losses(tested, exposed, mode)
        return verdict, f"lost {shown(tested)}{what}"
    silenced = control.series
    if silenced.lost < silenced.trials:
        return (
            Verdict.INCONCLUSIVE,
            f"only {silenced.lost} of {silenced.trials} timers that never fire were called lost",
        )
    worst = max(result.loss_rate.high for result in results)
    return (
        Verdict.CLEAN,
        f"no loss at any TMCCT rules out a loss rate above {worst:.3%} at each",
    )


def _of_losses(tested: list[Series], exposed: Exposure, mode: str) -> tuple[Verdict, str]:
    """Return the verdict of a test with losses, and how its reason goes on."""
    bug, pattern = APICV_BUG.name, read_pattern(tested)
    if exposed.state is ExposureState.NOT_EXPOSED:
        return Verdict.ANOMALOUS, f"; {exposed.why}, so this is not the {bug}"
    if not APICV_BUG.strikes(mode):
        return Verdict.ANOMALOUS, f" by the {mode} timer, which the {bug} does not strike"
    if pattern in REFUTED:
        return Verdict.ANOMALOUS, f": this is not the {bug}; {REFUTED[pattern].format(bug=bug)}"
    match pattern:
        case Pattern.KNOWN_BUG:
            return Verdict.AFFECTED, f", and {few_later(tested)} with 1 ms left, as the {bug} does"
        case Pattern.NARROW:
            return Verdict.AFFECTED, (
                f": this kernel has the {NARROW_RACE.name}, which {NARROW_RACE.effect}. "
                "`losttick run` is clean with it"
            )
        case Pattern.MIXED:
            return Verdict.ANOMALOUS, f": {mixed_words(tested, bug)}"
    counts = ", ".join(f"--tmcct {count}" for count in TELLING_NS)
    return Verdict.AFFECTED, (
        f": the timers expired inside the call or were never started. {counts} tell which"
    )
