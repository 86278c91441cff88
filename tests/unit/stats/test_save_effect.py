import os
from collections.abc import Iterable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from orchestrator.stats.save_effect import BySave
from tests.support.saves import by_save

#: Campaigns that are simulated; `tox -e long` has more.
CAMPAIGNS = 10_000 if int(os.environ.get("LOSTTICK_TEST_CAMPAIGNS", "0")) >= 1000 else 2_500


def test_one_load_a_save_can_not_differ() -> None:
    assert by_save(-1, 1, 1, -1, loads_per_save=1).p_value == 1


@given(st.lists(st.integers(-25, 25), max_size=40))
def test_a_p_value_for_whatever_happened(loads: list[int]) -> None:
    saves = by_save(*loads)
    assert 1 / 1000 <= saves.p_value <= 1
    assert saves.p_value == by_save(*loads).p_value
    assert saves.first_loads == sum(n != 0 for n in loads)
    assert saves.first_losses == loads.count(-1)


def test_a_stall_that_ends_a_save_is_no_sign_of_bad_saves() -> None:
    """Saves cut short by stalls: losses come early in them whatever saves are like."""
    cut = by_save(*[3, -2, 2, -3, 3, 3, -3, 2, -1, 3] * 4)
    assert not cut.differ


def saves_of(rates: Iterable[float], rng: np.random.Generator, planned: int) -> BySave:
    saves, done = BySave(25), 0
    for rate in rates:
        saves.begin()
        while saves.loads[-1] < 25 and done < planned and not saves.lost[-1]:
            saves.count(lost=bool(rng.random() < rate))
            done += 1
        if done == planned:
            break
    return saves


def test_alike_saves_are_seldom_called_different() -> None:
    rng = np.random.default_rng(1)
    called = sum(saves_of([0.05] * 300, rng, 100).differ for _ in range(CAMPAIGNS))
    assert called <= binom.isf(0.001, CAMPAIGNS, 0.05)


def test_different_saves_are_found() -> None:
    """Fisher's test of first loads against later ones finds 23 % and 42 % of these."""
    rng = np.random.default_rng(2)
    for (a, b), power in {(2, 8): 0.6, (0.1, 0.9): 0.6}.items():
        tries = CAMPAIGNS // 10
        found = sum(saves_of(rng.beta(a, b, 300), rng, 299).differ for _ in range(tries))
        assert found > tries * power
