"""Exact intervals for rare losses."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LossRate:
    """A loss rate per load, with an exact interval."""

    estimate: float | None
    """Losses over trials; None without trials."""
    low: float
    high: float
    confidence: float


def loss_rate(losses: int, unresolved: int, trials: int, confidence: float) -> LossRate:
    """Return the Clopper-Pearson interval.

    Where nothing was lost it is one-sided: its upper end is what the trials rule out.

    Args:
        losses: trials whose ticks were lost.
        unresolved: trials that stayed unknown: the upper end counts them as losses.
        trials: all trials, these included.
        confidence: of the interval, such as 0.95.
    """
    from scipy.special import betaincinv  # slow to import, and needed once a run

    if trials == 0:
        return LossRate(None, 0.0, 1.0, confidence)
    tail = 1 - confidence if losses == 0 else (1 - confidence) / 2
    low = float(betaincinv(losses, trials - losses + 1, tail)) if losses else 0.0
    worst = losses + unresolved
    high = float(betaincinv(worst + 1, trials - worst, 1 - tail)) if worst < trials else 1.0
    return LossRate(losses / trials, low, high, confidence)
