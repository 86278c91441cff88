"""The interval of a difference of loss rates, over every result that can come."""

import numpy as np
import pytest
from scipy.stats import binom

from orchestrator.stats.difference import Interval, difference, loads_to_tell
from orchestrator.stats.rate import Losses, rate_over_loads

CONFIDENCE = 0.95


def interval(lost: int, trials: int) -> Interval:
    rate = rate_over_loads(Losses(trials, lost), CONFIDENCE)
    return Interval(rate.estimate or 0.0, rate.low, rate.high)


@pytest.mark.parametrize(
    ("first", "second"),
    [(0, 0.01), (0.01, 0.03), (0.05, 0.05), (0, 0.2), (0.3, 0.32), (0.9, 0.99), (0, 0.00997)],
)
@pytest.mark.parametrize(("m", "n"), [(40, 40), (25, 100)])
def test_an_end_errs_no_more_often_than_stated(first: float, second: float, m: int, n: int) -> None:
    """The probability of each pair of counts is known, so nothing is drawn."""
    both = binom.pmf(np.arange(m + 1), m, first)[:, None] * binom.pmf(np.arange(n + 1), n, second)
    ends = [
        [difference(interval(a, m), interval(b, n)) for b in range(n + 1)] for a in range(m + 1)
    ]
    truth = second - first
    wide = sum(
        both[a, b] for a in range(m + 1) for b in range(n + 1)
        if ends[a][b].within < abs(truth) - 1e-12
    )  # fmt: skip
    low = sum(both[a, b] for a in range(m + 1) for b in range(n + 1) if ends[a][b].low > truth)
    high = sum(both[a, b] for a in range(m + 1) for b in range(n + 1) if ends[a][b].high < truth)
    assert max(wide, low, high) <= 1 - CONFIDENCE + 1e-9


def test_without_a_loss_the_bounds_are_those_of_the_rates() -> None:
    found = difference(interval(0, 299), interval(0, 600))
    assert found.high == interval(0, 600).high
    assert -found.low == interval(0, 299).high == found.within


def test_loads_that_would_tell() -> None:
    """As many as rule out the margin, if nothing is lost; fewer, the more the rates differ."""
    same = loads_to_tell(0, 0, margin=0.01, level=0.05, confidence=0.95)
    assert same is not None
    assert 299 <= same <= 303
    wanted = [
        loads_to_tell(0, rate, margin=0.005, level=0.05, confidence=0.95)
        for rate in (0.02, 0.05, 0.2)
    ]
    assert all(wanted)
    assert sorted(wanted, reverse=True) == wanted  # type: ignore[type-var]  # none is None


def test_no_number_of_loads_tells_rates_that_differ_by_the_margin() -> None:
    assert loads_to_tell(0, 0, margin=1e-9, level=0.05, confidence=0.95) is None
