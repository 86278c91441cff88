"""The error rates that a comparison states, measured on simulated campaigns of equal runs.

20 comparisons of 100 cells a point, or as many as LOSTTICK_TEST_CAMPAIGNS says; `tox -e long` runs
the 10,000 of the tables in docs/statistics.md. `-s` prints them.
"""

import os
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, chi2_contingency

from orchestrator.results.comparison.compare import ERROR, TOLD
from orchestrator.stats.difference import Interval, difference
from orchestrator.stats.holm import holm
from orchestrator.stats.permutation import Tails, compare_rates
from orchestrator.stats.rate import Losses, rate_over_loads, rate_over_saves
from orchestrator.stats.save_effect import BySave
from tests.support.simulated_campaigns import (
    PLANNED,
    Draw,
    Observer,
    Product,
    alike,
    all_or_none,
    beta,
    simulate,
)
from tests.support.simulated_saves import Saves, draw_saves, saves_of

#: Comparisons a point.
COMPARISONS = int(os.environ.get("LOSTTICK_TEST_CAMPAIGNS", "20"))

CELLS = 100

#: Comparisons that are simulated at a time.
AT_A_TIME = 50

#: Deviations from equality below which a p-value is not computed: it can't be told among 100. The
#: test computes it for the CHECKED pairs of each point's first campaigns that are nearest below.
CLEAR = 2.9

CHECKED = 100 if COMPARISONS >= 1000 else 30


def within(errors: int, tries: int, what: str) -> None:
    """Fail if a rule that errs as often as stated gives so many errors in 1 of 1,000 tests."""
    print(f"{what}: {errors / tries:.2%} of {tries:,}")
    assert errors <= int(binom.isf(0.001, tries, ERROR)), what


def deviations(first: Saves, second: Saves) -> np.ndarray:
    """Return how far apart two samples of whole saves are, in standard deviations."""
    loads = first.loads.sum(1) + second.loads.sum(1)
    lost = first.lost.sum(1) + second.lost.sum(1)
    scores = [
        each.lost * loads[:, None] - each.loads * lost[:, None].astype(np.int64)
        for each in (first, second)
    ]
    a, b = ((each.loads > 0).sum(1) for each in (first, second))
    squares = sum((each.astype(float) ** 2).sum(1) for each in scores)
    variance = squares * a * b / ((a + b) * np.maximum(a + b - 1, 1))
    return np.abs(scores[1].sum(1)) / np.sqrt(np.maximum(variance, 1))


cached = lru_cache(maxsize=100_000)(compare_rates)


@dataclass(frozen=True)
class Point:
    """Two runs that are alike."""

    draw: Draw
    first: dict[str, Any] = field(default_factory=dict)
    second: dict[str, Any] = field(default_factory=dict)
    observer: Observer = field(default_factory=Observer)


FIFTH: Draw = lambda rng, size: np.where(rng.random(size) < 0.2, 0.3, 0.01)  # noqa: E731

ALIKE = {
    "alike, 0.3%": Point(alike(0.003)),
    "alike, 2%": Point(alike(0.02)),
    "alike, 30%": Point(alike(0.3)),
    "alike, 10%, 4 against 24 saves": Point(alike(0.1), {"planned": 100}, {"planned": 600}),
    "all or none, 50%": Point(all_or_none(0.5)),
    "all or none, 20%, 4 against 24 saves": Point(
        all_or_none(0.2), {"planned": 100}, {"planned": 600}
    ),
    "Beta(0.1, 0.9)": Point(beta(0.1, 0.9)),
    "Beta(2, 8), 4 against 4 saves": Point(beta(2, 8), {"planned": 100}, {"planned": 100}),
    "1% in most saves, 30% in a fifth": Point(FIFTH),
    "alike, 5%, both end at 10 losses": Point(alike(0.05), {"stop_after": 10}, {"stop_after": 10}),
    "Beta(2, 8), one ends at 5 losses": Point(beta(2, 8), {"stop_after": 5}),
    "alike, 5%, the observer errs": Point(
        alike(0.05), observer=Observer(stall=0.04, missed=0.1, misread=0.01)
    ),
    "all or none, 5%, one load a save": Point(
        all_or_none(0.05), {"loads_per_save": 1}, {"loads_per_save": 1}
    ),
}


@pytest.mark.parametrize("point", ALIKE)
def test_false_answers_of_equal_runs(point: str) -> None:
    """`worse` or `better` in any of 100 cells is an error of the whole comparison."""
    about = ALIKE[point]
    wrong = 0
    for begin in range(0, COMPARISONS, AT_A_TIME):
        families = min(AT_A_TIME, COMPARISONS - begin)
        arms = [
            draw_saves(about.draw, about.observer, seed=2 * begin + arm, size=families * CELLS,
                       **how)
            for arm, how in enumerate((about.first, about.second))
        ]  # fmt: skip
        far = deviations(*arms)
        if not begin:
            below = [cell for cell in np.argsort(-far).tolist() if far[cell] < CLEAR]
            for cell in below[:CHECKED]:
                tails = compare_rates(arms[0].of(cell), arms[1].of(cell))
                assert tails.both > TOLD / CELLS, f"{far[cell]:.2f} deviations"
        for family in range(families):
            found = [
                cached(arms[0].of(cell), arms[1].of(cell)).both
                for cell in range(family * CELLS, (family + 1) * CELLS)
                if far[cell] >= CLEAR
            ]
            adjusted = holm(found + [1.0] * (CELLS - len(found)))
            wrong += min(adjusted) <= TOLD
    within(wrong, COMPARISONS, f"false worse or better, {CELLS} cells: {point}")


@pytest.mark.parametrize("point", ALIKE)
def test_saves_are_drawn_as_campaigns_are_simulated(point: str) -> None:
    """The saves of each kind, and the numbers of saves and losses, have one distribution."""
    about, size = ALIKE[point], 600
    simulated = saves_of(simulate(about.draw, about.observer, seed=11, size=size, **about.second))
    drawn = draw_saves(about.draw, about.observer, seed=12, size=size, **about.second)
    both = [
        [
            Counter(pair for row in range(size) for pair in each.of(row)),
            Counter((each.loads > 0).sum(1).tolist()),
            Counter(each.lost.sum(1).tolist()),
        ]
        for each in (simulated, drawn)
    ]
    for one, other in zip(*both, strict=True):
        kinds = [kind for kind in one | other if one[kind] + other[kind] >= 20]
        if len(kinds) > 1:
            table = [[each[kind] for kind in kinds] for each in (one, other)]
            assert chi2_contingency(np.array(table) + 0.5).pvalue > 1e-4, kinds


def test_the_fold_counts_the_same_saves() -> None:
    campaigns = simulate(beta(0.1, 0.9), Observer(stall=0.05), size=20)
    product, found = Product(PLANNED, 25), saves_of(campaigns)
    for campaign in range(20):
        by_save = product.fold(campaigns.attempts(campaign)).by_save
        pairs = zip(by_save.loads, by_save.lost, strict=True)
        assert found.of(campaign) == tuple(pair for pair in pairs if pair[0])


# --- margins ---

MARGINS = {
    "0 and 1%": (alike(0), alike(0.01), {}),
    "1% and 3%": (alike(0.01), alike(0.03), {}),
    "2% and 2%": (alike(0.02), alike(0.02), {}),
    "0 and 0.997%": (alike(0), alike(0.00997), {}),
    "30% and 35%": (alike(0.3), alike(0.35), {}),
    "1% and 5%, both end at 5 losses": (alike(0.01), alike(0.05), {"stop_after": 5}),
    "0 and all or none, 20%": (alike(0), all_or_none(0.2), {}),
    "all or none, 10% and 40%": (all_or_none(0.1), all_or_none(0.4), {}),
}


def interval_over_loads(found: tuple[tuple[int, int], ...], planned: int | None) -> Interval:
    loads, lost = (sum(each) for each in zip(*found, strict=True))
    rate = rate_over_loads(Losses(loads, lost, planned=planned), 1 - ERROR)
    return Interval(rate.estimate or 0.0, rate.low, rate.high)


def interval_over_saves(found: tuple[tuple[int, int], ...]) -> Interval:
    by_save = BySave(25)
    for loads, lost in found:
        by_save.begin()
        for load in range(loads):
            by_save.count(lost=bool(lost) and load == loads - 1)
    rate = rate_over_saves(by_save, 1 - ERROR)
    assert rate
    return Interval(rate.estimate, rate.low, rate.high)


@pytest.mark.parametrize("point", MARGINS)
def test_margins_that_the_data_support(point: str) -> None:
    """The true difference exceeds the stated margin in at most 5% of the cells."""
    first, second, how = MARGINS[point]
    cells = min(COMPARISONS * 10, 10_000)
    arms = [draw_saves(d, seed=n, size=cells, **how) for n, d in enumerate((first, second), 7)]
    over_loads = cached_intervals(interval_over_loads, PLANNED)
    over_saves = cached_intervals(interval_over_saves)
    truth = abs(
        np.subtract(*(d(np.random.default_rng(5), 1_000_000).mean() for d in (first, second)))
    )
    wrong = {"loads": 0, "saves": 0}
    for cell in range(cells):
        pair = [arm.of(cell) for arm in arms]
        wrong["loads"] += difference(*map(over_loads, pair)).within < truth - 1e-12
        wrong["saves"] += difference(*map(over_saves, pair)).within < truth - 1e-12
    within(wrong["saves"], cells, f"margin over saves too small: {point}")
    if "all or none" not in point:
        within(wrong["loads"], cells, f"margin over loads too small: {point}")


def cached_intervals(of: Any, *args: Any) -> Any:
    return lru_cache(maxsize=None)(lambda found: of(found, *args))


# --- power ---

POWERED = [
    (rate, loads, per_save)
    for rate, sizes in {0.01: (1_000, 3_000), 0.05: (299, 600), 0.2: (60, 100)}.items()
    for loads in sizes
    for per_save in (25, 1)
]


@pytest.mark.parametrize(("rate", "loads", "per_save"), POWERED)
def test_power(rate: float, loads: int, per_save: int) -> None:
    """How often a planted loss rate is told from 0, alone and as one of 100 cells."""
    tries = min(COMPARISONS * 5, 2_000)
    found = draw_saves(alike(rate), planned=loads, loads_per_save=per_save, size=tries)
    whole, rest = divmod(loads, per_save)
    clean = ((per_save, 0),) * whole + (((rest, 0),) if rest else ())
    tails: list[Tails] = [cached(clean, found.of(number)) for number in range(tries)]
    alone, one_of_many = (
        sum(each.both <= level for each in tails) / tries for level in (TOLD, TOLD / CELLS)
    )
    print(
        f"0 against {rate:.0%}, {loads:,} loads, {per_save} a save: worse in {alone:.1%}, "
        f"as one of {CELLS} cells in {one_of_many:.1%}"
    )
    assert all(each.less > 0.05 for each in tails), "no run without a loss is worse"
