"""What a campaign's trials and controls amount to."""

from collections import Counter
from dataclasses import dataclass

from orchestrator.bugs.exposure import Exposure, ExposureState
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.stats.bounds import exact_high, ruled_out, trials_needed
from orchestrator.stats.rate import LossRate
from orchestrator.stats.stopping import losses_to_be_sure
from orchestrator.verdict.verdict import Verdict

#: More unknown attempts than this, and nothing good can be said.
MAX_UNKNOWN = 0.05


ANOMALIES = (Outcome.LOST, Outcome.MISSED, Outcome.RECOVERED, Outcome.CRASHED)


@dataclass(frozen=True, slots=True)
class Tally:
    """What a cell's campaign counted."""

    outcomes: Counter[Outcome]
    """Of resolved trials, plus `unknown` for those that stayed so."""
    causes: Counter[Cause]
    bug_losses: int
    """Losses as the bug makes them: the first tick of a one-shot timer, diagnosed as lost."""
    attempts: int
    unknown_attempts: int
    controls_seen: int
    controls: int
    first_loads: int = 0
    """Saves of which the first load's outcome is known."""
    planned: int | None = None
    """Trials that were planned, if the campaign could end at another number."""
    cells: int = 1
    """Of the run: they share the error rate of a false `affected`."""
    vcpus: int = 1
    """Of the guest: each load has so many chances to be taken for a loss."""

    @property
    def trials(self) -> int:
        """Trials of eligible saves, resolved or not."""
        return self.outcomes.total()

    def sure(self, confidence: float) -> int:
        """Return how many diagnosed losses can't be the observer's errors, in any cell."""
        watched = max(self.planned or 0, self.trials) * self.vcpus
        return losses_to_be_sure(watched, (1 - confidence) / self.cells)


def decide(
    tally: Tally, rate: LossRate, rule_out: float, exposure: Exposure
) -> tuple[Verdict, str]:
    """Return the verdict; and what it rests on, what that rules out, and what a tenth takes.

    Losses that were diagnosed as this bug, and are too many to be the observer's errors,
    stand whatever else happened; but on a host that can't have the bug they are
    something else.
    """
    verdict, why, trusted = _decide(tally, rate, rule_out, exposure)
    return verdict, f"{why}; {_rules_out(tally, rate, trusted=trusted)}"


def _decide(
    tally: Tally, rate: LossRate, rule_out: float, exposure: Exposure
) -> tuple[Verdict, str, bool]:
    """Return the verdict, what it rests on, and whether loads without a loss may be believed."""
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
            f"of {tally.trials} loads: {shown}"
            + (f" ({causes})" if causes else "")
            + _why_not_the_bug(tally, sure, exposure),
            True,
        )
    if tally.controls_seen < tally.controls or not tally.controls:
        return (
            Verdict.INCONCLUSIVE,
            f"only {tally.controls_seen} of {tally.controls} injected losses were seen: "
            "a real one might have been missed, too",
            False,
        )
    if rate.high > rule_out * (1 + 1e-9):
        unknown = tally.outcomes[Outcome.UNKNOWN]
        counted = f" with {unknown} unresolved counted as lost" if unknown else ""
        return (
            Verdict.INCONCLUSIVE,
            f"no loss in {tally.trials} loads{counted} does not rule out {rule_out * 100:.4g}%: "
            f"that takes {trials_needed(rule_out, rate.confidence)} without a loss "
            "(--trials, --rule-out)",
            True,
        )
    return Verdict.CLEAN, f"no loss in {tally.trials} loads", True


def _why_not_the_bug(tally: Tally, sure: int, exposure: Exposure) -> str:
    if tally.bug_losses and exposure.state is ExposureState.NOT_EXPOSED:
        return f"; {exposure.why}, so this is not the APICv bug"
    if tally.bug_losses:
        return (
            f"; {tally.bug_losses} diagnosed as the APICv bug could be the observer's error in so "
            f"many loads: it takes {sure} to be sure"
        )
    if tally.causes[Cause.LOST_INTERRUPT]:
        return "; the APICv bug loses the first tick of a one-shot timer after a load, not these"
    return "; none was diagnosed as a lost one-shot interrupt"


def _rules_out(tally: Tally, rate: LossRate, *, trusted: bool) -> str:
    """Say which loss rates are ruled out, and how many more trials would rule out a tenth."""
    if not trusted or not tally.trials:
        return "nothing is ruled out"
    confidence = f"at {rate.confidence:.0%} confidence"
    of = " of saves" if rate.per == "save" else ""
    if rate.low > 0:
        tenth = rate.low / 10
        above = f" and above {rate.high:.3%}" if rate.high < 1 else ""
        return (
            f"they rule out a loss rate below {rate.low:.3%}{above}{of} {confidence}; "
            f"a tenth of {rate.low:.3%}, once mended, is ruled out by "
            f"{trials_needed(tenth, rate.confidence):,} loads without a loss"
        )
    notes = []
    if tally.unknown_attempts and not tally.outcomes[Outcome.LOST]:
        worst = exact_high(tally.unknown_attempts, tally.attempts, rate.confidence)
        notes.append(
            f"above {worst:.3%} if all {tally.unknown_attempts} attempts that ended unknown lost it"
        )
    if 0 < tally.first_loads < tally.trials and not tally.outcomes[Outcome.LOST]:
        saves = tally.first_loads
        over_saves = ruled_out(saves, rate.confidence)
        notes.append(
            f"above {over_saves:.3%} if some saves lose and others don't, as there were {saves}"
            if saves > 1
            else "nothing, if some saves lose and others don't: there was only one"
        )
    more = max(trials_needed(rate.high / 10, rate.confidence) - tally.trials, 0)
    return (
        f"they rule out a loss rate above {rate.high:.3%}{of} {confidence}"
        + (f" ({'; '.join(notes)})" if notes else "")
        + f"; to rule out a tenth of that takes {more:,} more without a loss"
    )
