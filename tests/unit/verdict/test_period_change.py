"""A timer whose period is another one after loads, and the error of its test."""

import itertools
import random

import pytest

from orchestrator.stats.exceed import exceedance_p
from orchestrator.verdict.period_change import ERROR, Gaps, period_change

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
            wrong += period_change(Gaps(host(rng, before, 1, 0), later, PERIOD_NS), 1) is not None
        assert wrong <= 1000 * ERROR + 3 * (1000 * ERROR) ** 0.5


@pytest.mark.parametrize("longer", [0.9, 0.95, 0.97, 1.03, 1.05, 1.1])
def test_a_period_that_is_a_little_off_is_found(longer: float) -> None:
    rng = random.Random(7)
    gaps = Gaps(host(rng, 9, 1, 0), host(rng, 299, longer, 0), PERIOD_NS)
    found = period_change(gaps, 12)
    assert found is not None
    assert found.percent == pytest.approx(100 * (longer - 1), abs=0.5)
    assert (found.before, found.after) == (9, 299)


@pytest.mark.parametrize("longer", [0.95, 1.05])
def test_some_longer_or_shorter_times_are_no_other_period(longer: float) -> None:
    rng = random.Random(7)
    later = host(rng, 60, 1, 0) + host(rng, 240, longer, 0)
    assert period_change(Gaps(host(rng, 40, 1, 0), later, PERIOD_NS), 1) is None


@pytest.mark.parametrize("other", [0.95, 1.05])
def test_nine_of_ten_times_must_be_others(other: float) -> None:
    """Also exactly nine of ten: 1 - 0.9 is less than 0.1 in floating point."""
    for same, found in ((2, True), (3, False)):
        gaps = Gaps((1.0,) * 400, (1.0,) * same + (other,) * (20 - same), PERIOD_NS)
        assert (period_change(gaps, 1) is not None) is found


def test_times_that_were_mostly_longer_before_do_not_make_a_shorter_period() -> None:
    """The host was busy when the cell began, and a third of the times came out right."""
    before = (1.0,) * 8 + (1.06,) * 16
    assert period_change(Gaps(before, (1.0,) * 300, PERIOD_NS), 1) is None
    assert period_change(Gaps(before[8:], (1.0,) * 300, PERIOD_NS), 1) is not None


def test_each_direction_has_half_of_the_error() -> None:
    """With one time before the loads, p is 1 / (times after + 1)."""
    for number, found in ((150, False), (250, True)):
        for other in (0.95, 1.05):
            gaps = Gaps((1.0,), (other,) * number, PERIOD_NS)
            assert (period_change(gaps, 1) is not None) is found


def test_nothing_is_said_without_times_before_the_loads() -> None:
    assert period_change(Gaps((), (1.05,) * 300, PERIOD_NS), 1) is None
    assert period_change(Gaps((1.0,), (1.05,) * 50, PERIOD_NS), 1) is None  # p = 1 / 51
