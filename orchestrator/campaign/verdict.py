"""What a campaign's trials and controls amount to."""

import enum
from collections import Counter
from dataclasses import dataclass

from orchestrator.campaign.statistics import LossRate, trials_needed
from orchestrator.host.exposure import Exposure, ExposureState
from orchestrator.trial.diagnosis import Cause
from orchestrator.trial.outcome import Outcome

#: More unknown attempts than this, and nothing good can be said.
MAX_UNKNOWN = 0.05

ANOMALIES = (Outcome.LOST, Outcome.MISSED, Outcome.RECOVERED, Outcome.CRASHED)


class Verdict(enum.StrEnum):
    """The answer for a cell or a run, the gravest first."""

    AFFECTED = "affected"
    ANOMALOUS = "anomalous"
    INCONCLUSIVE = "inconclusive"
    CLEAN = "clean"
    SKIPPED = "skipped"


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

    @property
    def trials(self) -> int:
        """Trials of eligible saves, resolved or not."""
        return self.outcomes.total()


def decide(
    tally: Tally, rate: LossRate, rule_out: float, exposure: Exposure
) -> tuple[Verdict, str]:
    """Return the verdict and what it rests on.

    A loss that was diagnosed as this bug stands whatever else happened; but on a
    host that can't have the bug it is something else.
    """
    lost_interrupts = tally.causes[Cause.LOST_INTERRUPT]
    if tally.bug_losses and exposure.state is not ExposureState.NOT_EXPOSED:
        return (
            Verdict.AFFECTED,
            f"{tally.bug_losses} of {tally.trials} loads lost the timer's interrupt",
        )
    if tally.unknown_attempts > MAX_UNKNOWN * tally.attempts:
        return (
            Verdict.INCONCLUSIVE,
            f"{tally.unknown_attempts} of {tally.attempts} attempts ended unknown, "
            f"more than {MAX_UNKNOWN:.0%}",
        )
    anomalies = [(outcome, tally.outcomes[outcome]) for outcome in ANOMALIES]
    if any(count for _, count in anomalies):
        shown = ", ".join(f"{count} {outcome}" for outcome, count in anomalies if count)
        causes = ", ".join(f"{count} {cause}" for cause, count in tally.causes.items())
        but = "; none was diagnosed as a lost one-shot interrupt"
        if tally.bug_losses:
            but = f"; {exposure.why}, so this is not the APICv bug"
        elif lost_interrupts:
            but = "; the APICv bug loses the first tick of a one-shot timer after a load, not these"
        return (
            Verdict.ANOMALOUS,
            f"of {tally.trials} loads: {shown}" + (f" ({causes})" if causes else "") + but,
        )
    if tally.controls_seen < tally.controls or not tally.controls:
        return (
            Verdict.INCONCLUSIVE,
            f"only {tally.controls_seen} of {tally.controls} injected losses were seen: "
            "a real one might have been missed, too",
        )
    if rate.high > rule_out * (1 + 1e-9):
        unknown = tally.outcomes[Outcome.UNKNOWN]
        counted = f", {unknown} unresolved counted as lost" if unknown else ""
        return (
            Verdict.INCONCLUSIVE,
            f"no loss in {tally.trials} loads rules out only {rate.high:.3%}{counted}, "
            f"not {rule_out * 100:.4g}%: that takes "
            f"{trials_needed(rule_out, rate.confidence)} without a loss (--trials, --rule-out)",
        )
    return (
        Verdict.CLEAN,
        f"no loss in {tally.trials} loads rules out a loss rate above {rate.high:.3%} "
        f"at {rate.confidence:.0%} confidence",
    )


def overall(verdicts: list[Verdict]) -> Verdict:
    """Return the gravest; `skipped` only where nothing ran."""
    return min(verdicts, key=list(Verdict).index, default=Verdict.SKIPPED)
