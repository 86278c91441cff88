"""Bounds of a loss rate for a number of trials that was fixed beforehand."""

import math


def ruled_out(trials: int, confidence: float) -> float:
    """Return the loss rate that trials without a loss rule out: 1 - (1 - confidence)^(1 / n).

    It may be read at any time while nothing is lost: it falls with each trial, so it
    passes below the true rate at one number of trials, and to come so far without a loss
    has a probability of 1 - confidence at most.

    It holds however loads of one save hang together, for the loss rate that counts a
    save's loads after its loss as not lost: a save of L loads that loses one with
    probability q has the rate q / L, and stays whole with 1 - q ≤ (1 - q / L)^L
    (Bernoulli's inequality), so n loads do with (1 - rate)^n at most.
    """
    return -math.expm1(math.log1p(-confidence) / trials)


def trials_needed(rule_out: float, confidence: float) -> int:
    """Return how many trials without a loss rule out a loss rate.

    That is ⌈ln(1 - confidence) / ln(1 - rule_out)⌉.
    """
    return math.ceil(math.log1p(-confidence) / math.log1p(-rule_out))


def exact_low(lost: int, trials: int, confidence: float) -> float:
    """Return Clopper and Pearson's lower end, one-sided."""
    from scipy.special import betaincinv  # slow to import, and needed once a cell

    return float(betaincinv(lost, trials - lost + 1, 1 - confidence)) if lost else 0.0


def exact_high(lost: int, trials: int, confidence: float) -> float:
    """Return Clopper and Pearson's upper end, one-sided."""
    from scipy.special import betaincinv

    return float(betaincinv(lost + 1, trials - lost, confidence)) if lost < trials else 1.0
