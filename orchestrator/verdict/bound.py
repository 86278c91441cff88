"""The rules for a cell in which nothing is wrong: enough loads make it `clean`."""

from orchestrator.findings.outcome import Outcome
from orchestrator.stats.bounds import trials_needed
from orchestrator.verdict.case import Case, Finding
from orchestrator.verdict.verdict import Verdict

_ADVICE = "Run it again while the host is less busy, or with more loads"


def bound_too_high(case: Case) -> Finding | None:
    """Return `inconclusive` if the loads do not rule out the plan's loss rate."""
    rate, rule_out = case.rate, case.rule_out
    if rate.high <= rule_out * (1 + 1e-9):
        return None
    unknown, missed = case.tally.outcomes[Outcome.UNKNOWN], case.tally.missed_as_lost
    doubtful = [f"{unknown} unresolved"] if unknown else []
    if missed:
        doubtful.append(f"{missed} missed ticks of a timer that runs on by itself")
    counted = f" with {' and '.join(doubtful)} counted as lost" if doubtful else ""
    return Finding(
        Verdict.INCONCLUSIVE,
        f"no loss in {case.tally.trials} loads{counted} does not rule out {rule_out * 100:.4g}%, "
        f"which takes {trials_needed(rule_out, rate.confidence)} loads without a loss "
        "(--trials, --rule-out)",
        notes=(_ADVICE,) if unknown else (),
    )


def clean(case: Case) -> Finding:
    """Return `clean`."""
    return Finding(Verdict.CLEAN, f"no loss in {case.tally.trials} loads")
