"""Exact comparison of two samples of whole saves.

Loads of one save are not independent, so saves are exchanged between the samples, never loads.
If both samples are alike, every division of the saves into samples of these sizes is equally
probable. The distribution of the statistic over all divisions is computed, not drawn: the
p-value of 999 drawn divisions could not fall below 0.001.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from orchestrator.stats.exceed import log_comb

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: Most saves that the computation takes one by one. More are joined into blocks, in their order:
#: to exchange whole blocks is exact, too.
_MOST = 128

#: Scores are rounded so that the sum of their sizes is at most this, for many saves and for few.
#: The scores depend on both samples together alone, so the test of rounded scores is exact.
_LEVELS, _MOST_LEVELS = 500, 20_000

#: Steps of the computation to spend on finer scores.
_STEPS = 1_000_000


Score = TypeVar("Score", int, float)


@dataclass(frozen=True, slots=True)
class Tails:
    """The exact one-sided p-values of a comparison."""

    more: float
    """Probability that the second sample has so much more than the first by chance."""
    less: float
    """Probability that it has so much less."""

    @property
    def both(self) -> float:
        """The two-sided p-value: twice the smaller one."""
        return min(1.0, 2 * min(self.more, self.less))


#: The tails of samples that can't differ.
EQUAL = Tails(1.0, 1.0)


def compare_rates(
    first: Sequence[tuple[int, int]], second: Sequence[tuple[int, int]]
) -> Tails:  # fmt: skip
    """Return whether the loads of the second sample are lost more or less often.

    The score of a save is its losses less those that the rate of all loads together expects of
    so many loads. A save is given up at its loss, so a save that is lost sooner scores more. If
    every save has one load, this is Fisher's test.

    Args:
        first: the loads and the losses of each save.
        second: the same of the other sample.
    """
    both = [*first, *second]
    loads, lost = sum(each[0] for each in both), sum(each[1] for each in both)
    if not 0 < lost < loads:
        return EQUAL
    if all(each[0] == 1 for each in both):
        of_second = sum(each[1] for each in second)
        return fisher(len(first), lost - of_second, len(second), of_second)
    scores = [
        [events * loads - lost * trials for trials, events in each] for each in (first, second)
    ]
    return compare_scores(*scores)


def fisher(first: int, first_lost: int, second: int, second_lost: int) -> Tails:
    """Return the tails of Fisher's exact test.

    Args:
        first: size of the first sample.
        first_lost: how many of it were lost.
        second: size of the second sample.
        second_lost: how many of it were lost.
    """
    lost = first_lost + second_lost
    whole = log_comb(first + second, lost)
    low, high = max(0, lost - first), min(lost, second)

    def tail(begin: int, end: int) -> float:
        logs = (log_comb(second, k) + log_comb(first, lost - k) for k in range(begin, end + 1))
        return min(1.0, math.fsum(math.exp(each - whole) for each in logs))

    return Tails(tail(second_lost, high), tail(low, second_lost))


def compare_scores(first: Sequence[float], second: Sequence[float]) -> Tails:
    """Return whether the scores of the second sample are greater or smaller, in their sum.

    Args:
        first: the score of each save, in the order of the saves.
        second: the same of the other sample.
    """
    size = -(-(len(first) + len(second)) // _MOST)
    by_save = Counter(first) + Counter(second)
    if len(first) + len(second) - max(by_save.values(), default=0) > _MOST:
        first, second = blocks(first, size), blocks(second, size)
    if not first or not second:
        return EQUAL
    steps, observed, common = _rounded(first, second)
    if not steps:
        return EQUAL
    return _tails(steps, common, len(second), observed)


def fewest_saves(level: float) -> int:
    """Return how many saves a side must have, so that some result has a p-value of `level`.

    Of 2 k saves, the most extreme division has the two-sided p-value 2 / C(2 k, k).
    """
    saves = 1
    while 2 / math.comb(2 * saves, saves) > level:
        saves += 1
    return saves


def can_differ(first: int, second: int, level: float) -> bool:
    """Return whether some result of samples of these sizes has a p-value of `level`."""
    return math.log(2) - log_comb(first + second, first) <= math.log(level)


def blocks(scores: Sequence[Score], size: int) -> Sequence[Score]:
    """Return the sums of whole blocks of scores. An unfinished block at the end is left out."""
    whole = len(scores) // size
    return [sum(scores[number * size : (number + 1) * size]) for number in range(whole)]


def _rounded(first: Sequence[float], second: Sequence[float]) -> tuple[list[int], int, int]:
    """Return whole scores, relative to the most frequent one.

    Returns:
        The scores that differ from the most frequent one; the sum of those in the second
        sample; and how many have the most frequent one.
    """
    (usual, _), *_ = (Counter(first) + Counter(second)).most_common(1)
    others = [abs(each - usual) for each in (*first, *second) if each != usual]
    levels = _STEPS // max(len(others) * min(len(others), len(second)), 1)
    unit = max(sum(others) / min(max(levels, _LEVELS), _MOST_LEVELS), 1e-300)
    if all(isinstance(each, int) for each in (*first, *second)):
        divisor = math.gcd(*(int(each - usual) for each in (*first, *second)))
        unit = max(unit, divisor)
    in_first = [round((each - usual) / unit) for each in first]
    in_second = [round((each - usual) / unit) for each in second]
    steps = [each for each in (*in_first, *in_second) if each]
    return steps, sum(in_second), len(in_first) + len(in_second) - len(steps)


def _tails(steps: Sequence[int], common: int, drawn: int, observed: int) -> Tails:
    """Return the tails of the sum of scores that are drawn without replacement.

    Args:
        steps: the scores other than 0.
        common: how many scores are 0.
        drawn: how many scores are drawn.
        observed: the sum that was observed.
    """
    sums, below = sums_of_drawn(steps, common, drawn)
    return tails_at(sums, observed + below)


def tails_at(sums: "npt.NDArray[np.float64]", place: int) -> Tails:
    """Return the tails of a distribution from a place on, the place included in both."""
    return Tails(min(1.0, float(sums[place:].sum())), min(1.0, float(sums[: place + 1].sum())))


def sums_of_drawn(
    steps: Sequence[int], common: int, drawn: int
) -> "tuple[npt.NDArray[np.float64], int]":
    """Return the distribution of the sum of scores that are drawn without replacement.

    Args:
        steps: the scores other than 0.
        common: how many scores are 0.
        drawn: how many scores are drawn.

    Returns:
        The probability of each sum, and the place of the sum 0 among them.
    """
    import numpy as np  # slow to import

    below = -sum(each for each in steps if each < 0)
    width = below + sum(each for each in steps if each > 0) + 1
    most = min(len(steps), drawn)
    # ways[k, s + below]: in how many ways k of the scores so far have the sum s.
    ways = np.zeros((most + 1, width))
    ways[0, below] = 1
    for number, step in enumerate(steps, 1):
        rows = min(number, most)
        before = ways[:rows].copy()
        if step > 0:
            ways[1 : rows + 1, step:] += before[:, :-step]
        else:
            ways[1 : rows + 1, :step] += before[:, -step:]
    whole = log_comb(len(steps) + common, drawn)
    others = [drawn - count for count in range(most + 1)]
    weights = np.array(
        [math.exp(log_comb(common, n) - whole) if n <= common else 0.0 for n in others]
    )
    return weights @ ways, below
