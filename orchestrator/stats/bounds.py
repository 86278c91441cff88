"""Bounds of a loss rate if the number of trials was fixed beforehand."""

import math


def ruled_out(trials: int, confidence: float) -> float:
    """Return the loss rate that n trials without a loss rule out: 1 - (1 - confidence)^(1 / n).

    The bound may be read at any time while nothing is lost. It falls with each trial, so it
    passes below the true rate at a certain number of trials, and the probability of reaching
    that number without a loss is at most 1 - confidence.

    The bound also holds if loads of one save depend on each other, for a loss rate that
    counts the loads of a save after its loss as not lost. A save of L loads that loses one
    of them with probability q has the rate q / L. It has no loss with probability
    1 - q ≤ (1 - q / L)^L (Bernoulli's inequality), so n loads have no loss with probability
    at most (1 - rate)^n.
    """
    return -math.expm1(math.log1p(-confidence) / trials)


def trials_needed(rule_out: float, confidence: float) -> int:
    """Return how many trials without a loss rule out a loss rate.

    The number is ⌈ln(1 - confidence) / ln(1 - rule_out)⌉.
    """
    return math.ceil(math.log1p(-confidence) / math.log1p(-rule_out))


def exact_low(lost: int, trials: int, confidence: float) -> float:
    """Return the lower end of Clopper and Pearson's interval, one-sided."""
    if not lost:
        return 0.0
    from scipy.special import betaincinv  # slow to import, and needed only for losses

    return float(betaincinv(lost, trials - lost + 1, 1 - confidence))


def exact_high(lost: int, trials: int, confidence: float) -> float:
    """Return the upper end of Clopper and Pearson's interval, one-sided."""
    if lost == trials:
        return 1.0
    if not lost:
        return ruled_out(trials, confidence)
    from scipy.special import betaincinv

    return float(betaincinv(lost + 1, trials - lost, confidence))


def gamma_quantile(shape: float, probability: float) -> float:
    """Return a quantile of the gamma distribution of scale 1.

    An end of the exact interval of a Poisson count is such a quantile.
    """
    from scipy.special import gammaincinv

    return float(gammaincinv(shape, probability))
