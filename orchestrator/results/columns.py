"""The columns of a cell's row, in words: the same in every table."""

from orchestrator.findings.outcome import CAME, Outcome
from orchestrator.results.summary import spread
from orchestrator.stats.rate import LossRate
from orchestrator.verdict.run import CellResult


def loss_rate(result: CellResult) -> str:
    """Return a cell's loss rate and its interval, in words."""
    if not result.counts.outcomes[Outcome.LOST]:
        return interval(result)
    estimate = result.rate.estimate
    return f"{'-' if estimate is None else f'{estimate:.3%}'} ({interval(result)})"


def interval(result: CellResult) -> str:
    """Return the interval of a cell's loss rate, in words."""
    rate, saves = result.rate, result.rate.over_saves
    if not result.counts.trials:
        return "-"
    if not result.counts.outcomes[Outcome.LOST]:
        return f"< {rate.high:.2%}"
    words = f"{rate.low:.2%} to {rate.high:.2%}"
    if rate.per == "save":
        return f"{words} of saves"
    return words + (f"; of saves {saves.low:.2%} to {saves.high:.2%}" if saves else "")


def rate_words(rate: LossRate) -> str:
    """Return a loss rate and its interval, as the end of a sentence."""
    if rate.estimate is None:
        return ""
    at = f"at {rate.confidence:.0%} confidence"
    if not rate.estimate:
        return f", loss rate below {rate.high:.3%} {at}"
    return f", loss rate {rate.low:.3%} to {rate.high:.3%} per {rate.per} {at}"


def first_tick(result: CellResult) -> str:
    """Return when the first tick came, in words: the outcome that most loads with a tick had."""
    counts = result.counts
    came = {kind: count for kind, count in result.classes.items() if kind in CAME}
    if came:
        return str(max(came, key=lambda kind: (came[kind], kind.ticked)))
    if not counts.trials or counts.outcomes[Outcome.UNKNOWN] == counts.trials:
        return "-"
    return "came" if counts.first_tick_ms else "never"


def first_tick_with_time(result: CellResult) -> str:
    """Return when the first tick came, in words, and its median time."""
    first = spread(result.counts.first_tick_ms)
    return first_tick(result) + (f", {first['median']:.1f} ms" if first else "")


def went_wrong(result: CellResult) -> str:
    """Return the outcomes of a cell that are neither normal ticks nor losses, as a list's end."""
    usual = (Outcome.LOST, Outcome.UNKNOWN)
    counts = result.classes.most_common()
    return "".join(f", {n} {kind}" for kind, n in counts if not kind.ticked and kind not in usual)


def controls_seen(result: CellResult) -> str:
    """Return how many of a cell's controls were seen, in words."""
    seen = sum(control.seen for control in result.counts.controls)
    return f"{seen} of {result.counts.controls_begun} seen"
