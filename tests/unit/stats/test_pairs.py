import itertools
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.stats.pairs import (
    POWER,
    PairCounts,
    detectable_excess,
    p_value,
    pairs_needed,
    power,
)


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_p_value_counts_every_arrangement(treated: int, untreated: int) -> None:
    discordant = treated + untreated
    as_many = sum(comb(discordant, k) for k in range(treated, discordant + 1))
    assert p_value(PairCounts(1000, treated, untreated)) == pytest.approx(
        as_many / 2**discordant
    )  # fmt: skip


def test_only_an_excess_of_the_treated_accuses() -> None:
    assert p_value(PairCounts(100, 7, 0)) == pytest.approx(1 / 128)
    assert p_value(PairCounts(100, 0, 7)) == 1.0
    assert p_value(PairCounts(100, 0, 0)) == 1.0
    assert p_value(PairCounts(7, 7, 0)) == p_value(PairCounts(10_000, 7, 0))


def test_the_power_is_that_of_every_possible_campaign() -> None:
    """Sum over all courses of a few pairs, one by one."""
    pairs, excess, background, level = 6, 0.5, 0.1, 0.05
    chances = {1: background + excess, -1: background, 0: 1 - 2 * background - excess}
    rejects = 0.0
    for course in itertools.product(chances, repeat=pairs):
        counts = PairCounts(pairs, course.count(1), course.count(-1))
        if p_value(counts) <= level:
            rejects += float(np.prod([chances[each] for each in course]))
    assert power(pairs, excess, background, level) == pytest.approx(rejects)


@pytest.mark.parametrize("background", [0.0, 0.02, 0.2])
def test_the_named_excess_is_found_as_often_as_stated(background: float) -> None:
    pairs, level = 150, 0.01
    excess = detectable_excess(pairs, background, level)
    assert excess is not None
    rng = np.random.default_rng(1)
    chances = [background + excess, background, 1 - 2 * background - excess]
    drawn = rng.multinomial(pairs, chances, 4000)
    found = sum(p_value(PairCounts(pairs, int(a), int(b))) <= level for a, b, _ in drawn)
    assert found / 4000 == pytest.approx(POWER, abs=0.03)
    assert power(pairs, 0.9 * excess, background, level) < POWER


def test_too_few_pairs_show_nothing() -> None:
    assert detectable_excess(6, 0.0, 0.01) is None  # 1/64 is more than 1 %
    assert detectable_excess(7, 0.0, 0.01) is not None
    assert detectable_excess(100, 0.5, 0.01) is None  # every pair is discordant already


@pytest.mark.parametrize(("excess", "level"), [(0.05, 0.01), (0.05, 0.01 / 12), (0.2, 0.01)])
def test_as_many_pairs_as_it_takes(excess: float, level: float) -> None:
    needed = pairs_needed(excess, level)
    assert power(needed, excess, 0.0, level) >= POWER > power(needed - 1, excess, 0.0, level)


def test_the_observed_excess_is_a_difference_of_rates() -> None:
    assert PairCounts(200, 12, 2).excess == pytest.approx(0.05)
    assert PairCounts(0, 0, 0).excess == 0.0
