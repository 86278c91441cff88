"""The loss rates that a cell rules out, in words."""

from orchestrator.findings.outcome import Outcome
from orchestrator.stats.bounds import exact_high, ruled_out, trials_needed
from orchestrator.verdict.case import Case


def ruled_out_rates(case: Case, *, trusted: bool) -> str:
    """Return which loss rates are ruled out, and how many more loads would rule out a tenth.

    Args:
        case: the counts and the rate that follows from them.
        trusted: whether loads without a loss can be trusted.
    """
    tally, rate = case.tally, case.rate
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
