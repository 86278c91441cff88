"""Numbers as the page shows them."""

from datetime import datetime

from orchestrator.findings.outcome import Outcome
from orchestrator.stats.rate import LossRate


def percent(share: float) -> str:
    """Return a share in percent, with enough digits to tell it from 0 and from 100 %."""
    value = share * 100
    if value in (0, 100):
        return f"{value:.0f}%"
    if value < 0.001:
        return f"{value:.1e}%"
    if value > 99.99:
        return "> 99.99%"
    digits = 3 if value < 1 else 2 if value < 10 else 1
    return f"{value:.{digits}f}%"


def rate_words(rate: LossRate | None, lost: int, trials: int) -> str:
    """Return a loss rate with its interval; a bound if nothing was lost."""
    if rate is None or not trials or rate.estimate is None:
        return ""
    if not lost:
        return f"below {percent(rate.high)}"
    per = " of saves" if rate.per == "save" else ""
    return f"{percent(rate.estimate)}{per} ({percent(rate.low)} to {percent(rate.high)})"


def duration(ns: float) -> str:
    """Return a time in a unit in which it is easy to read."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if abs(ns) >= size:
            return (
                f"{ns / size:.3g} {unit}" if abs(ns) < 1000 * size else f"{ns / size:,.0f} {unit}"
            )
    return f"{ns:.0f} ns"


def moment(ns: float) -> str:
    """Return a time after some moment in milliseconds, or before it, with its sign."""
    ms = ns / 1e6
    digits = 1 if abs(ms) < 1000 else 0
    return f"{ms:+,.{digits}f} ms"


def day_and_time(at: str) -> str:
    """Return a time of the journal for a person; the text itself if it is no time."""
    try:
        return datetime.fromisoformat(at).strftime("%d %B %Y, %H:%M:%S UTC")
    except ValueError:
        return at


def count(number: int, noun: str) -> str:
    """Return a number with a noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def odd_counts(outcomes: dict[str, int]) -> str:
    """Return the outcomes that are neither normal ticks nor losses, with their numbers."""
    usual = {str(each) for each in Outcome if each.ticked} | {str(Outcome.LOST)}
    odd = sorted(outcomes.items(), key=lambda each: -each[1])
    return ", ".join(f"{number:,} {name}" for name, number in odd if name not in usual and number)
