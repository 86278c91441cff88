"""What may be read of a campaign at any time: a confidence sequence."""

import math


def evidence_against(rate: float, lost: int, trials: int) -> float:
    """Return the logarithm of what a bettor against this loss rate has made of 1.

    The bettor spreads the stake over all other rates by Jeffreys' prior, Beta(1/2, 1/2).
    At the true rate that is a martingale: it ever reaches 1 / error with a probability of
    `error` at most (Ville's inequality), however the trials' number was chosen.

    Args:
        rate: between 0 and 1, ends excluded.
        lost: of the trials, so far.
        trials: so far.
    """
    ticked = trials - lost
    mixture = (
        math.lgamma(lost + 0.5) + math.lgamma(ticked + 0.5) - math.lgamma(trials + 1)
        - math.log(math.pi)
    )  # fmt: skip
    return mixture - lost * math.log(rate) - ticked * math.log1p(-rate)


def confidence_sequence(lost: int, trials: int, confidence: float) -> tuple[float, float]:
    """Return an interval for the loss rate that may be read at any time, and as often as wanted.

    It is the rates that `evidence_against` has not refuted: all of its readings hold at
    once at the stated confidence, so that a campaign may end, or go on, for any reason.
    """
    bound = -math.log1p(-confidence)
    middle = lost / trials if trials else 0.5
    low = _crossing(middle, 0.0, lost, trials, bound) if lost else 0.0
    high = _crossing(middle, 1.0, lost, trials, bound) if lost < trials else 1.0
    return low, high


def _crossing(inside: float, outside: float, lost: int, trials: int, bound: float) -> float:
    """Return where the evidence passes the bound, from the side where it is refuted."""
    for _ in range(60):
        between = (inside + outside) / 2
        if not 0 < between < 1:
            break
        if evidence_against(between, lost, trials) < bound:
            inside = between
        else:
            outside = between
    return outside
