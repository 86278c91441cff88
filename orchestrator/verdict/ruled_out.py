"""The loss rates that a cell rules out, in words.

Loads of one save are not independent, so two bounds are named: one over loads, which holds
if losses do not depend on the save, and one over saves, which holds in any case.
"""

from orchestrator.findings.outcome import Outcome
from orchestrator.stats.bounds import exact_high, trials_needed
from orchestrator.stats.rate import LossRate, SaveRate
from orchestrator.verdict.case import Case


def ruled_out_rates(case: Case, *, trusted: bool) -> str:
    """Return which loss rates are ruled out, and how many more loads would rule out a tenth.

    Args:
        case: the counts and the rate that follows from them.
        trusted: whether loads without a loss can be trusted.
    """
    if not trusted or not case.tally.trials:
        return "no loss rate is ruled out"
    return _with_a_loss(case) if case.tally.outcomes[Outcome.LOST] else _without_a_loss(case)


def _with_a_loss(case: Case) -> str:
    rate, saves = case.rate, case.rate.over_saves
    said = f"this rules out {_loss_rates(rate)} at {rate.confidence:.0%} confidence"
    if saves and rate.per == "load":
        of_saves = _first_loads(saves)
        said += (
            " if losses do not depend on the save, and "
            + (f"{of_saves} in any case" if of_saves else "no rate if they do")
            + f" ({_tested(saves)})"
        )
    elif saves:
        said += f" ({_tested(saves)}, and losses depend on the save)"
    if saves:
        said += (
            ". A save is given up at its first loss, so these rates say nothing of the loads that "
            "would have followed"
        )
    if rate.low <= 0:
        return said
    tenth = rate.low / 10
    return (
        f"{said}. After a repair, {trials_needed(tenth, rate.confidence):,} loads without a loss "
        f"rule out a tenth of {rate.low:.3%}"
    )


def _loss_rates(rate: LossRate) -> str:
    if rate.per == "save" and rate.over_saves:
        return _first_loads(rate.over_saves) or "no loss rate of a new save's first load"
    return f"loss rates {_outside(rate.low, rate.high)}"


def _first_loads(saves: SaveRate) -> str:
    """Return the rates that are ruled out for new saves; empty if there are none."""
    outside = _outside(saves.low, saves.high)
    return f"loss rates {outside} for the first load of a new save" if outside else ""


def _outside(low: float, high: float) -> str:
    ends = [f"below {low:.3%}"] if low > 0 else []
    return " and ".join([*ends, f"above {high:.3%}"] if high < 1 else ends)


def _tested(saves: SaveRate) -> str:
    return f"{saves.saves} saves were tested" if saves.saves > 1 else "one save was tested"


def _without_a_loss(case: Case) -> str:
    tally, rate, saves = case.tally, case.rate, case.rate.over_saves
    notes = []
    if tally.unknown_attempts:
        worst = exact_high(tally.unknown_attempts, tally.attempts, rate.confidence)
        notes.append(
            f"only rates above {worst:.3%} if each of the {tally.unknown_attempts} unknown "
            "attempts was a loss"
        )
    if saves and saves.saves < tally.trials:
        notes.append(
            f"only rates above {saves.high:.3%} if losses depend on the save: {_tested(saves)}"
            if saves.saves > 1
            else f"no rate if losses depend on the save: {_tested(saves)}"
        )
    more = max(trials_needed(rate.high / 10, rate.confidence) - tally.trials, 0)
    return (
        f"this rules out loss rates above {rate.high:.3%} at {rate.confidence:.0%} confidence"
        + (f" ({'; '.join(notes)})" if notes else "")
        + f". To rule out a tenth of this rate, run {more:,} more loads"
    )
