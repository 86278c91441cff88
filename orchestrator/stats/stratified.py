"""Exact comparison of two samples of whole saves within strata, such as hosts.

Saves are exchanged between the samples within their stratum, never between strata. The scores of
a stratum's saves are taken from the rate of that stratum alone. So a host that loses under every
kernel has the same share in both samples, and is not taken for a difference of the kernels.

The statistic is the sum of the second sample's scores over all strata. Strata are independent, so
its distribution is the convolution of their distributions, each of which is computed, not drawn.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from orchestrator.stats.bounds import gamma_quantile
from orchestrator.stats.difference import Interval
from orchestrator.stats.exceed import log_comb
from orchestrator.stats.permutation import EQUAL, Tails, blocks, sums_of_drawn, tails_at

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: The loads and the losses of each save of a sample.
Sample = Sequence[tuple[int, int]]

#: Steps times rows of the computation, for all strata together and for one of them. Where more
#: saves differ, whole blocks of them are exchanged, which is exact, too.
_WORK, _MOST_WORK, _LEAST_WORK = 1_000_000, 4_000, 64

#: Additions to spend on finer scores. Scores are rounded so that the sum of their sizes is at
#: most this, for much work and for little. They depend on both samples together alone, so the
#: test of rounded scores is exact.
_ADDITIONS = 3_000_000
_LEVELS, _MOST_LEVELS = 500, 4_000

#: Most parts of a loss in which scores are counted before that.
_FINEST = 10**12


@dataclass(frozen=True, slots=True)
class Stratum:
    """Two samples that may be exchanged with each other alone."""

    first: Sample
    second: Sample

    @property
    def totals(self) -> tuple[int, int]:
        """The loads and the losses of both samples."""
        both = (*self.first, *self.second)
        return sum(loads for loads, _ in both), sum(lost for _, lost in both)

    @property
    def telling(self) -> bool:
        """True if it can show a difference: it has both samples, and only some loads were lost."""
        loads, lost = self.totals
        return bool(self.first and self.second) and 0 < lost < loads

    @property
    def excess(self) -> float:
        """Losses of the second sample beyond those that the stratum's own rate expects."""
        loads, lost = self.totals
        return sum(each[1] - lost / loads * each[0] for each in self.second) if loads else 0.0


def compare_strata(strata: Iterable[Stratum]) -> Tails:
    """Return whether the loads of the second samples are lost more or less often.

    The score of a save is its losses less those that the rate of all loads of its stratum expects
    of so many loads. A stratum without one of the samples, or without a loss, has no part in it.
    """
    telling = [each for each in strata if each.telling]
    if not telling:
        return EQUAL
    work = min(max(_WORK // len(telling), _LEAST_WORK), _MOST_WORK)
    parts_of_one = min(math.lcm(*(each.totals[0] for each in telling)), _FINEST)
    scored = [_scores(each, work, parts_of_one) for each in telling]
    others = [_from_usual(first, second) for first, second in scored]
    unit = _unit(others)
    if not unit:
        return EQUAL
    observed, place, parts = 0, 0, []
    for first, second in others:
        sums, zero, seen = _of_stratum(first, second, unit)
        parts.append(sums)
        place += zero
        observed += seen
    return tails_at(_convolved(parts), observed + place)


def can_differ(sizes: Iterable[tuple[int, int]], level: float) -> bool:
    """Return whether some result of strata with so many saves has a p-value of `level`."""
    ways = sum(log_comb(first + second, first) for first, second in sizes)
    return math.log(2) - ways <= math.log(level)


def standardized(
    strata: Sequence[tuple[int, int, int]], weights: Sequence[float], confidence: float
) -> Interval:
    """Return the mean rate of strata with given weights, and its interval.

    Its ends are those of Fay and Feuer (1997), for a weighted sum of Poisson counts: losses vary
    no more than these. They hold for a number of loads that was fixed, and for a run that ended
    at a number of losses. If all weights are as the loads, they are the exact ends for the sum of
    the counts.

    Args:
        strata: loads, losses, and loads that may have been lost, of each stratum with loads.
        weights: the weight of each stratum; their sum is 1.
        confidence: of each end.
    """
    shares = [
        (weight / loads, lost, unresolved)
        for (loads, lost, unresolved), weight in zip(strata, weights, strict=True)
    ]
    largest = max((share for share, _, _ in shares), default=1.0)
    estimate = sum(share * lost for share, lost, _ in shares)
    variance = sum(share**2 * lost for share, lost, _ in shares)
    low = 0.0
    if estimate:
        scale = variance / estimate
        low = scale * gamma_quantile(estimate / scale, 1 - confidence)
    worst = sum(share * (lost + open_) for share, lost, open_ in shares) + largest
    scale = (sum(share**2 * (lost + open_) for share, lost, open_ in shares) + largest**2) / worst
    high = scale * gamma_quantile(worst / scale, confidence)
    return Interval(min(estimate, 1.0), min(low, 1.0), min(high, 1.0))


def common_weights(loads: Sequence[tuple[int, int]]) -> list[float]:
    """Return the weight of each stratum by which two samples are compared (Mantel, Haenszel 1959).

    Args:
        loads: the loads of both samples in each stratum, none of them 0.
    """
    raw = [first * second / (first + second) for first, second in loads]
    whole = sum(raw)
    return [each / whole for each in raw]


def _scores(stratum: Stratum, work: int, parts: int) -> tuple[Sequence[int], Sequence[int]]:
    """Return the scores of a stratum's saves, or of blocks of them, in so many parts of a loss."""
    loads, lost = stratum.totals
    first, second = (
        [parts * (each[1] * loads - each[0] * lost) // loads for each in sample]
        for sample in (stratum.first, stratum.second)
    )
    often = Counter(first) + Counter(second)
    others = often.total() - max(often.values())
    size = math.ceil(math.sqrt(others * min(others, len(first), len(second)) / work))
    # Never so large that a sample would have no block.
    size = min(size, len(first), len(second))
    return (blocks(first, size), blocks(second, size)) if size > 1 else (first, second)


def _from_usual(first: Sequence[int], second: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return scores relative to the most frequent one.

    That shifts the second sample's sum by the same amount in every division.
    """
    often = Counter(first) + Counter(second)
    usual = max(often, key=lambda score: (often[score], -score))
    return [each - usual for each in first], [each - usual for each in second]


def _unit(strata: Sequence[tuple[Sequence[int], Sequence[int]]]) -> float:
    """Return the unit to which scores are rounded; 0 if all scores are."""
    width = additions = divisor = 0
    for first, second in strata:
        sizes = [abs(each) for each in (*first, *second) if each]
        rows = min(len(sizes), len(first), len(second))
        width += sum(sizes)
        additions += len(sizes) * rows * sum(sizes)
        divisor = math.gcd(divisor, *sizes)
    levels = _ADDITIONS * width // max(additions, 1)
    return max(width / min(max(levels, _LEVELS), _MOST_LEVELS), divisor)


def _of_stratum(
    first: Sequence[int], second: Sequence[int], unit: float
) -> "tuple[npt.NDArray[np.float64], int, int]":
    """Return the distribution of the second sample's sum, the place of 0 in it, and the sum."""
    whole = [[round(each / unit) for each in sample] for sample in (first, second)]
    steps = [each for sample in whole for each in sample if each]
    common = len(first) + len(second) - len(steps)
    observed, total = sum(whole[1]), sum(steps)
    if len(second) <= len(first):
        sums, zero = sums_of_drawn(steps, common, len(second))
        return sums, zero, observed
    # Fewer divisions have to be told apart if the smaller sample is drawn.
    sums, zero = sums_of_drawn(steps, common, len(first))
    return sums[::-1], len(sums) - 1 - zero - total, observed


def _convolved(parts: "Sequence[npt.NDArray[np.float64]]") -> "npt.NDArray[np.float64]":
    """Return the distribution of the sum; by products alone, so that far tails stay exact."""
    import numpy as np  # slow to import

    return reduce(np.convolve, sorted(parts, key=len))
