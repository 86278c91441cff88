"""The difference of two loss rates, with its interval, and how many loads would tell more."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

from orchestrator.stats.bounds import exact_high, exact_low
from orchestrator.stats.pairs import POWER

#: Most loads of a run that are worth naming. No run can have more.
MOST_LOADS = 10_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A loss rate with its interval. Each end errs with the probability that it states."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """The second loss rate less the first, with its interval."""

    estimate: float
    low: float
    high: float

    @property
    def within(self) -> float:
        """The smallest margin that contains the whole interval.

        The true difference exceeds this margin with at most the probability with which an end
        errs: it can exceed the margin on one side alone.
        """
        return max(-self.low, self.high)


def difference(first: Interval, second: Interval) -> Difference:
    """Return the difference of two independent rates.

    Its interval is made from the intervals of both (method of variance estimates recovery, Zou
    and Donner 2008). With exact intervals it errs less often than they do. If neither rate has
    a loss, its ends are the bounds of the rates.
    """
    estimate = second.estimate - first.estimate
    down = math.hypot(second.estimate - second.low, first.high - first.estimate)
    up = math.hypot(second.high - second.estimate, first.estimate - first.low)
    return Difference(estimate, max(-1.0, estimate - down), min(1.0, estimate + up))


def loads_to_tell(
    first: float, second: float, *, margin: float, level: float, confidence: float
) -> int | None:
    """Return how many loads a side would tell how two rates stand to each other.

    They tell that the rates are the same within the margin; or that they differ, with a
    probability of 80 %. The number holds if these are the true rates, and if losses do not
    depend on the save. Returns None if `MOST_LOADS` would not tell.

    Args:
        first: the first rate.
        second: the second rate.
        margin: the difference that does not matter.
        level: the two-sided p-value at which the rates count as different.
        confidence: of the ends of the difference's interval.
    """

    def alike(loads: int) -> bool:
        ends = [
            Interval(
                rate,
                exact_low(lost, loads, confidence) if lost else 0.0,
                exact_high(lost, loads, confidence),
            )
            for rate in (first, second)
            for lost in (round(rate * loads),)
        ]
        return difference(*ends).within <= margin

    found = [_least(alike)] if abs(second - first) < margin else []
    if first != second:
        normal = NormalDist()
        standard = normal.inv_cdf(1 - level / 2) + normal.inv_cdf(POWER)
        variance = first * (1 - first) + second * (1 - second)
        # Not fewer than make a difference by themselves: all of one side lost, none of the other.
        least = math.log(2 / level) / math.log(4)
        found.append(math.ceil(max(standard**2 * variance / (second - first) ** 2, least)))
    told = [each for each in found if each is not None and each <= MOST_LOADS]
    return min(told, default=None)


def _least(holds: Callable[[int], bool]) -> int | None:
    """Return the number of loads from which on something holds, to within 1 in 100."""
    high = 1
    while not holds(high):
        high *= 2
        if high > 2 * MOST_LOADS:
            return None
    low = high // 2
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return high
