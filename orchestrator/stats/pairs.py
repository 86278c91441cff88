"""Exact comparison of two yes-or-no outcomes that were observed in pairs (McNemar 1947).

Each pair has one member that was treated and one that was not. Pairs whose members agree say
nothing about the treatment. If the treatment has no effect, each discordant pair is equally
likely to be discordant in either direction, however often and in whatever clusters the
untreated outcome occurs.
"""

from dataclasses import dataclass
from functools import lru_cache

#: Chance at which a test should find an effect of the size that is named.
POWER = 0.8


@dataclass(frozen=True, slots=True)
class PairCounts:
    """The counts of complete pairs."""

    pairs: int
    treated_only: int
    """Pairs in which only the treated member had the outcome."""
    untreated_only: int
    """Pairs in which only the untreated member had the outcome."""

    @property
    def discordant(self) -> int:
        """Pairs whose members disagree."""
        return self.treated_only + self.untreated_only

    @property
    def excess(self) -> float:
        """Observed difference of the two rates."""
        return (self.treated_only - self.untreated_only) / self.pairs if self.pairs else 0.0


NO_PAIRS = PairCounts(0, 0, 0)


@lru_cache(maxsize=4096)
def p_value(counts: PairCounts) -> float:
    """Return the exact one-sided p-value of McNemar's test.

    It is the probability that at least so many of the discordant pairs are discordant towards
    the treatment, if both directions are equally likely.
    """
    if not counts.treated_only:
        return 1.0
    # Slow to import, and needed only for busy cells; scipy.stats would take four times as long.
    from scipy.special import betainc

    # The upper tail of the binomial distribution.
    return float(betainc(counts.treated_only, counts.untreated_only + 1, 0.5))


@lru_cache(maxsize=4096)
def power(pairs: int, excess: float, background: float, level: float) -> float:
    """Return the probability that the test at `level` finds an excess.

    Args:
        pairs: number of pairs.
        excess: difference of the two rates.
        background: share of pairs that are discordant in each direction without the treatment.
        level: largest p-value at which the test rejects.
    """
    import numpy as np
    from scipy.stats import binom

    if excess <= 0:
        return 0.0
    either = min(2 * background + excess, 1.0)
    low, high = (float(binom.ppf(tail, pairs, either)) for tail in (1e-10, 1 - 1e-10))
    discordant = np.arange(max(low, 1), high + 1)
    if not discordant.size:
        return 0.0
    # The smallest count whose upper tail is at most `level`.
    needed = binom.isf(level, discordant, 0.5) + 1
    towards = (background + excess) / either
    rejects = binom.sf(needed - 1, discordant, towards)
    return float(binom.pmf(discordant, pairs, either) @ rejects)


@lru_cache(maxsize=4096)
def detectable_excess(pairs: int, background: float, level: float) -> float | None:
    """Return the smallest excess that the test finds with a probability of `POWER`.

    Returns None if so few pairs can't show any excess.

    Args:
        pairs: number of pairs.
        background: share of pairs that are discordant in each direction without the treatment.
        level: largest p-value at which the test rejects.
    """
    most = 1 - 2 * background
    if power(pairs, most, background, level) < POWER:
        return None
    low, high = 0.0, most
    while high - low > 1e-4:
        middle = (low + high) / 2
        if power(pairs, middle, background, level) < POWER:
            low = middle
        else:
            high = middle
    return high


@lru_cache(maxsize=4096)
def pairs_needed(excess: float, level: float) -> int:
    """Return how many pairs show an excess with a probability of `POWER`, without background."""
    low, high = 0, 1
    while power(high, excess, 0.0, level) < POWER:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if power(middle, excess, 0.0, level) < POWER:
            low = middle
        else:
            high = middle
    return high
