"""Confidence sequences: intervals that may be read at any time during a campaign."""

import math
from functools import lru_cache


def evidence_against(rate: float, lost: int, trials: int) -> float:
    """Return the logarithm of the capital of a bettor against this loss rate who began with 1.

    The bettor spreads the stake over all other rates by Jeffreys' prior, Beta(1/2, 1/2).
    At the true rate the capital is a martingale: the probability that it ever reaches
    1 / error is at most `error` (Ville's inequality), however the number of trials was
    chosen.

    Args:
        rate: the loss rate, greater than 0 and less than 1.
        lost: number of losses so far.
        trials: number of trials so far.
    """
    ticked = trials - lost
    mixture = (
        math.lgamma(lost + 0.5) + math.lgamma(ticked + 0.5) - math.lgamma(trials + 1)
        - math.log(math.pi)
    )  # fmt: skip
    return mixture - lost * math.log(rate) - ticked * math.log1p(-rate)


@lru_cache(maxsize=4096)
def confidence_sequence(lost: int, trials: int, confidence: float) -> tuple[float, float]:
    """Return an interval for the loss rate that may be read at any time and any number of times.

    The interval contains the rates that `evidence_against` has not refuted. All of its
    readings hold at once at the stated confidence, so that a campaign may end, or continue,
    for any reason.
    """
    bound = -math.log1p(-confidence)
    middle = lost / trials if trials else 0.5
    low = _crossing(middle, 0.0, lost, trials, bound) if lost else 0.0
    high = _crossing(middle, 1.0, lost, trials, bound) if lost < trials else 1.0
    return low, high


def _crossing(inside: float, outside: float, lost: int, trials: int, bound: float) -> float:
    """Return the rate at which the evidence crosses the bound, rounded outwards."""
    for _ in range(60):
        between = (inside + outside) / 2
        if not 0 < between < 1:
            break
        if evidence_against(between, lost, trials) < bound:
            inside = between
        else:
            outside = between
    return outside
