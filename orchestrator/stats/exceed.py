"""Tells whether the values of one sample are greater than those of another, by an exact test."""

import math


def exceedance_p(before: int, rank: int, after: int, below: int) -> float:
    """Return the probability that so few values of a second sample are below one of a first.

    If all values are drawn alike, every arrangement of the two samples in their common order is
    equally probable. Then the number of values of the second sample below the `rank`-th
    smallest of the first has a negative hypergeometric distribution.

    Args:
        before: size of the first sample.
        rank: which of its values is compared with, counted from the smallest, from 1.
        after: size of the second sample.
        below: how many of its values are below that value, at most.
    """
    whole = log_comb(before + after, after)
    return min(
        1.0,
        sum(
            math.exp(
                log_comb(x + rank - 1, x) + log_comb(after - x + before - rank, after - x) - whole
            )
            for x in range(below + 1)
        ),
    )


def log_comb(n: int, k: int) -> float:
    """Return the logarithm of the number of ways to choose k of n."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
