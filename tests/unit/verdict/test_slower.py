"""A timer whose period is longer after loads than before, and the error of its test."""

import itertools
import random

import pytest

from orchestrator.stats.exceed import exceedance_p
from orchestrator.verdict.case import Gaps
from orchestrator.verdict.slower import ERROR, slower

PERIOD_NS = 20_000_000


@pytest.mark.parametrize(("before", "rank", "after"), [(3, 2, 4), (4, 1, 3), (2, 2, 5)])
def test_the_probability_is_that_of_all_arrangements(before: int, rank: int, after: int) -> None:
    """Every way to place the first sample's values among all is equally probable."""
    size = before + after
    belows = [
        places[rank - 1] - (rank - 1) for places in itertools.combinations(range(size), before)
    ]
    for below in range(after + 1):
        exact = sum(each <= below for each in belows) / len(belows)
        assert exceedance_p(before, rank, after, below) == pytest.approx(exact)


def host(rng: random.Random, number: int, longer: float, busy: float) -> list[float]:
    """Times between ticks of a host on which interrupts come late, the busier the more."""
    return [longer * (1.001 + rng.expovariate(1 / (0.002 + 0.02 * busy))) for _ in range(number)]


@pytest.mark.parametrize(("before", "after"), [(6, 40), (9, 299), (4, 3)])
def test_no_more_false_accusations_than_stated(before: int, after: int) -> None:
    """Also where the host is idle before the loads, and half of the time busy after them."""
    rng = random.Random(7)
    for bursts in (0.0, 0.5):
        wrong = 0
        for _ in range(1000):
            later = host(rng, int(after * (1 - bursts)), 1, 0)
            later += host(rng, after - len(later), 1, 1)
            wrong += slower(Gaps(host(rng, before, 1, 0), later, PERIOD_NS), 1) is not None
        assert wrong <= 1000 * ERROR + 3 * (1000 * ERROR) ** 0.5


@pytest.mark.parametrize("longer", [1.03, 1.05, 1.1])
def test_a_period_that_is_a_little_too_long_is_found(longer: float) -> None:
    rng = random.Random(7)
    gaps = Gaps(host(rng, 9, 1, 0), host(rng, 299, longer, 0), PERIOD_NS)
    found = slower(gaps, 12)
    assert found is not None
    assert found.percent == pytest.approx(100 * (longer - 1), abs=0.5)


def test_some_long_times_are_no_longer_period() -> None:
    rng = random.Random(7)
    later = host(rng, 60, 1, 0) + host(rng, 240, 1.05, 0)
    assert slower(Gaps(host(rng, 40, 1, 0), later, PERIOD_NS), 1) is None


def test_nothing_is_said_without_times_before_the_loads() -> None:
    assert slower(Gaps((), (1.05,) * 300, PERIOD_NS), 1) is None
    assert slower(Gaps((1.0,), (1.05,) * 50, PERIOD_NS), 1) is None  # p = 1 / 51
