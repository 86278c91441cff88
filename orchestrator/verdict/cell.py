"""The verdict of a cell, from the counts of its trials and controls."""

from collections import Counter
from dataclasses import dataclass

from orchestrator.bugs.catalogue import APICV_BUG
from orchestrator.bugs.exposure import Exposure, ExposureState
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.stats.bounds import exact_high, ruled_out, trials_needed
from orchestrator.stats.rate import LossRate
from orchestrator.stats.stopping import losses_to_be_sure
from orchestrator.verdict.verdict import Verdict

#: Largest fraction of unknown attempts with which a cell can be clean.
MAX_UNKNOWN = 0.05

#: Outcomes that are anomalous, if they are not the known bug.
ANOMALIES = (Outcome.LOST, Outcome.MISSED, Outcome.RECOVERED, Outcome.CRASHED)


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
    first_loads: int = 0
    """Saves whose first load has a known outcome."""
    planned: int | None = None
    """Planned number of trials, if the campaign could end at another number."""
    cells: int = 1
    """Cells of the run. They share the error rate of a false `affected`."""
    vcpus: int = 1
    """vCPUs of the guest. A load can be wrongly diagnosed once for each."""

    @property
    def trials(self) -> int:
        """Trials of eligible saves, including those that stayed unknown."""
        return self.outcomes.total()

    def sure(self, confidence: float) -> int:
        """Return how many diagnosed losses are too many to be the observer's errors."""
        watched = max(self.planned or 0, self.trials) * self.vcpus
        return losses_to_be_sure(watched, (1 - confidence) / self.cells)


def decide(
    tally: Tally, rate: LossRate, rule_out: float, exposure: Exposure
) -> tuple[Verdict, str]:
    """Return the verdict and its reason.

    The reason says what was counted, which loss rates this rules out, and how many loads
    would rule out a tenth of the rate. Losses that were diagnosed as the known bug make the
    cell affected whatever else happened, if they are too many to be the observer's errors
    and the host is not known to be immune.
    """
    verdict, why, trusted = _decide(tally, rate, rule_out, exposure)
    return verdict, f"{why}; {_rules_out(tally, rate, trusted=trusted)}"


def _decide(
    tally: Tally, rate: LossRate, rule_out: float, exposure: Exposure
) -> tuple[Verdict, str, bool]:
    """Return the verdict, its reason, and whether loads without a loss can be trusted."""
    bug_losses, sure = tally.bug_losses, tally.sure(rate.confidence)
    if bug_losses >= sure and exposure.state is not ExposureState.NOT_EXPOSED:
        why = f"{bug_losses} of {tally.trials} loads lost the timer's interrupt"
        return Verdict.AFFECTED, why, True
    if tally.unknown_attempts > MAX_UNKNOWN * tally.attempts:
        return (
            Verdict.INCONCLUSIVE,
            f"{tally.unknown_attempts} of {tally.attempts} attempts ended unknown, "
            f"more than {MAX_UNKNOWN:.0%}",
            False,
        )
    anomalies = [(outcome, tally.outcomes[outcome]) for outcome in ANOMALIES]
    if any(count for _, count in anomalies):
        shown = ", ".join(f"{count} {outcome}" for outcome, count in anomalies if count)
        causes = ", ".join(f"{count} {cause}" for cause, count in tally.causes.items())
        return (
            Verdict.ANOMALOUS,
            f"{shown} in {tally.trials} loads"
            + (f" ({causes})" if causes else "")
            + _why_not_the_bug(tally, sure, exposure),
            True,
        )
    if tally.controls_seen < tally.controls or not tally.controls:
        return (
            Verdict.INCONCLUSIVE,
            f"only {tally.controls_seen} of {tally.controls} injected losses were seen: "
            "a real loss might have been missed too",
            False,
        )
    if rate.high > rule_out * (1 + 1e-9):
        unknown = tally.outcomes[Outcome.UNKNOWN]
        counted = f" with {unknown} unresolved counted as lost" if unknown else ""
        return (
            Verdict.INCONCLUSIVE,
            f"no loss in {tally.trials} loads{counted} does not rule out {rule_out * 100:.4g}%, "
            f"which takes {trials_needed(rule_out, rate.confidence)} loads without a loss "
            "(--trials, --rule-out)",
            True,
        )
    return Verdict.CLEAN, f"no loss in {tally.trials} loads", True


def _why_not_the_bug(tally: Tally, sure: int, exposure: Exposure) -> str:
    if tally.bug_losses and exposure.state is ExposureState.NOT_EXPOSED:
        return f"; {exposure.why}, so this is not the {APICV_BUG.name}"
    if tally.bug_losses:
        return (
            f"; {tally.bug_losses} diagnosed as the {APICV_BUG.name} could be the observer's error "
            f"in so many loads: {sure} are needed to be sure"
        )
    if tally.causes[APICV_BUG.cause]:
        return f"; the {APICV_BUG.name} {APICV_BUG.effect}"
    return f"; none was diagnosed as a {APICV_BUG.cause}"


def _rules_out(tally: Tally, rate: LossRate, *, trusted: bool) -> str:
    """Say which loss rates are ruled out, and how many more loads would rule out a tenth."""
    if not trusted or not tally.trials:
        return "no loss rate is ruled out"
    confidence = f"at {rate.confidence:.0%} confidence"
    of = " of saves" if rate.per == "save" else ""
    if rate.low > 0:
        tenth = rate.low / 10
        above = f" and above {rate.high:.3%}" if rate.high < 1 else ""
        return (
            f"this rules out loss rates below {rate.low:.3%}{above}{of} {confidence}. After a "
            f"repair, {trials_needed(tenth, rate.confidence):,} loads without a loss rule out a "
            f"tenth of {rate.low:.3%}"
        )
    notes = []
    if tally.unknown_attempts and not tally.outcomes[Outcome.LOST]:
        worst = exact_high(tally.unknown_attempts, tally.attempts, rate.confidence)
        notes.append(
            f"only rates above {worst:.3%} if each of the {tally.unknown_attempts} unknown "
            "attempts was a loss"
        )
    if 0 < tally.first_loads < tally.trials and not tally.outcomes[Outcome.LOST]:
        saves = tally.first_loads
        over_saves = ruled_out(saves, rate.confidence)
        notes.append(
            f"only rates above {over_saves:.3%} if losses depend on the save: {saves} saves were "
            "tested"
            if saves > 1
            else "no rate if losses depend on the save: one save was tested"
        )
    more = max(trials_needed(rate.high / 10, rate.confidence) - tally.trials, 0)
    return (
        f"this rules out loss rates above {rate.high:.3%}{of} {confidence}"
        + (f" ({'; '.join(notes)})" if notes else "")
        + f". To rule out a tenth of this rate, run {more:,} more loads"
    )
