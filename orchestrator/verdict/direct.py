"""The verdicts of a direct test, from the state that its journal folds to."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator.bugs.catalogue import APICV_BUG
from orchestrator.bugs.exposure import Exposure, ExposureState, exposure
from orchestrator.findings.lab import LabIdentity
from orchestrator.findings.series import Series
from orchestrator.host.facts import HostFacts
from orchestrator.journal.direct import DirectState, TestedHost
from orchestrator.stats.rate import Losses, LossRate, loss_rate
from orchestrator.verdict.arm import lab_verdict
from orchestrator.verdict.verdict import Verdict, overall
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
    interrupted: str | None = None
    """Why the test has not come to its end; None if it has."""

    @property
    def failed(self) -> bool:
        """True if the harness failed on any host."""
        return any(host.failed for host in self.hosts)


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
        hosts, journal, interrupted,
    )  # fmt: skip


def _judge_host(name: str, host: TestedHost, state: DirectState) -> HostResult:
    series = tuple(_with_rate(each, state.confidence) for each in host.series)
    control = _with_rate(host.control, state.confidence) if host.control else None
    if host.facts is None:
        exposed = Exposure(ExposureState.UNKNOWN, "its host did not come up")
    else:
        exposed = exposure(host.facts, Accel.KVM, None)
    if host.skipped is not None and not series:
        verdict, why = Verdict.SKIPPED, host.skipped
    elif control is None:
        verdict, why = Verdict.INCONCLUSIVE, host.failure or "the test was interrupted"
    else:
        verdict, why = direct_verdict(series, control, exposed)
    return HostResult(
        name, host.facts, host.lab, series, control, exposed, verdict, why,
        failed=host.failure is not None,
    )  # fmt: skip


def _with_rate(series: Series, confidence: float) -> SeriesResult:
    return SeriesResult(series, loss_rate(Losses(series.trials, series.lost), confidence))


def direct_verdict(
    results: tuple[SeriesResult, ...], control: SeriesResult, exposed: Exposure
) -> tuple[Verdict, str]:
    """Return the verdict of a finished direct test on one host, and what the verdict rests on."""
    tested = [result.series for result in results]
    lossy = [series for series in tested if series.lost]
    if lossy:
        shown = ", ".join(f"{s.lost} of {s.trials} at TMCCT {s.tmcct_ns} ns" for s in lossy)
        if exposed.state is ExposureState.NOT_EXPOSED:
            not_it = f"{exposed.why}, so this is not the {APICV_BUG.name}"
            return Verdict.ANOMALOUS, f"lost {shown}; {not_it}"
        narrow = all(series.tmcct_ns for series in lossy)
        return Verdict.AFFECTED, f"lost {shown}" + (
            ": the narrow race; QEMU always restores TMCCT 0, and does not meet it"
            if narrow
            else ""
        )
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
