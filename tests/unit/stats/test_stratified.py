"""The exact test within strata, against every division counted one by one."""

import itertools
import math
import random

import pytest

from orchestrator.stats.permutation import EQUAL, compare_rates
from orchestrator.stats.stratified import (
    Sample,
    Stratum,
    can_differ,
    common_weights,
    compare_strata,
    standardized,
)


def counted(strata: list[Stratum]) -> tuple[float, float]:
    """Count the divisions of all strata one by one."""
    sums, seen = [0.0], 0.0
    for each in strata:
        both = [*each.first, *each.second]
        loads, lost = (sum(column) for column in zip(*both, strict=True))
        scores = [lost_here - loads_here * lost / loads for loads_here, lost_here in both]
        seen += sum(scores[len(each.first) :])
        drawn = [sum(some) for some in itertools.combinations(scores, len(each.second))]
        sums = [one + other for one in sums for other in drawn]
    more = sum(each >= seen - 1e-9 for each in sums)
    less = sum(each <= seen + 1e-9 for each in sums)
    return more / len(sums), less / len(sums)


def saves(drawn: random.Random, number: int, loads: int = 4) -> Sample:
    """Draw saves of equally many loads: then rounded scores are the scores."""
    return [(loads, drawn.choice((0, 0, 1))) for _ in range(number)]


@pytest.mark.parametrize("seed", range(30))
def test_every_division_is_counted(seed: int) -> None:
    drawn = random.Random(seed)
    strata = [
        Stratum(saves(drawn, drawn.randint(1, 5)), saves(drawn, drawn.randint(1, 5)))
        for _ in range(3)
    ]
    found = compare_strata(strata)
    assert (found.more, found.less) == pytest.approx(counted(strata))


@pytest.mark.parametrize("seed", range(20))
def test_one_stratum_is_the_plain_comparison(seed: int) -> None:
    drawn = random.Random(seed)
    first, second = ([(drawn.randint(1, 5), drawn.randint(0, 1)) for _ in range(6)] for _ in "ab")
    found, plain = compare_strata([Stratum(first, second)]), compare_rates(first, second)
    assert found.more == pytest.approx(plain.more)
    assert found.less == pytest.approx(plain.less)


def test_a_bad_host_is_not_taken_for_a_bad_kernel() -> None:
    """The bad host has run the second kernel more often: loads put together blame the kernel."""
    good, bad = (25, 0), (1, 1)
    strata = [
        Stratum([good] * 30, [good] * 4),
        Stratum([bad] * 3 + [good], [bad] * 30 + [good] * 9),
    ]
    together = [[*strata[0].first, *strata[1].first], [*strata[0].second, *strata[1].second]]
    assert compare_rates(*together).more < 1e-4
    assert compare_strata(strata).both > 0.2


def test_many_strata_that_show_nothing_alone_show_it_together() -> None:
    strata = [Stratum([(20, 0)], [(5, 1)])] * 20
    assert compare_rates(strata[0].first, strata[0].second).both == 1
    assert compare_strata(strata).more == pytest.approx(2**-20)
    mirrored = [Stratum(each.second, each.first) for each in strata]
    assert compare_strata(mirrored).less == pytest.approx(2**-20)


@pytest.mark.parametrize(
    "silent",
    [Stratum([(20, 3)], []), Stratum([], [(20, 3)]), Stratum([(5, 0)], [(9, 0)]),
     Stratum([(1, 1)], [(1, 1)])],
)  # fmt: skip
def test_strata_that_can_not_tell_change_nothing(silent: Stratum) -> None:
    assert compare_strata([silent]) == EQUAL
    assert compare_strata([]) == EQUAL
    telling = [Stratum([(20, 0)] * 3, [(5, 1), (20, 0), (2, 1)])]
    assert compare_strata([*telling, silent]) == compare_strata(telling)


def test_many_saves_are_exchanged_in_blocks() -> None:
    """A symmetric sample's tails still add up, and a difference is still seen."""
    drawn = random.Random(1)
    alike = [
        Stratum(*([(drawn.randint(1, 25), 1) for _ in range(400)] for _ in "ab"))
        for _ in range(10)
    ]  # fmt: skip
    found = compare_strata(alike)
    assert 1 <= found.more + found.less < 1.2
    worse = [
        Stratum(each.first, [(max(1, loads - 4), 1) for loads, _ in each.second]) for each in alike
    ]
    assert compare_strata(worse).more < 1e-6


def test_what_strata_can_show() -> None:
    assert can_differ([(1, 1)] * 10, 0.002)
    assert not can_differ([(1, 1)] * 9, 0.002)
    assert not can_differ([(5, 0)] * 9, 0.5)


def test_a_mean_rate_has_the_ends_of_a_poisson_count() -> None:
    strata = [(100, 2, 0), (100, 5, 0), (100, 0, 0)]
    found = standardized(strata, [1 / 3] * 3, 0.95)
    assert found.estimate == pytest.approx(7 / 300)
    assert found.low * 300 == pytest.approx(3.2853, abs=1e-3)  # of the tables of Poisson
    assert found.high * 300 == pytest.approx(13.1481, abs=1e-3)
    nothing = standardized([(100, 0, 0)] * 3, [1 / 3] * 3, 0.95)
    assert (nothing.estimate, nothing.low) == (0, 0)
    assert nothing.high * 300 == pytest.approx(-math.log(0.05))
    assert standardized([(100, 0, 5)], [1], 0.95).high > 0.09


def test_the_weights_of_strata() -> None:
    assert common_weights([(10, 10), (10, 10)]) == [0.5, 0.5]
    assert common_weights([(10, 30), (10, 10)]) == pytest.approx([0.6, 0.4])
