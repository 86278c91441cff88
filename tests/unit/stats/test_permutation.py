"""The exact permutation of whole saves, against every division counted one by one."""

import itertools
import math
import random

import pytest
from scipy.stats import fisher_exact

from orchestrator.stats.permutation import (
    EQUAL,
    can_differ,
    compare_rates,
    compare_scores,
    fewest_saves,
    fisher,
)


def counted(first: list[float], second: list[float]) -> tuple[float, float]:
    """Count the divisions one by one."""
    both = [*first, *second]
    seen = sum(second)
    sums = [sum(each) for each in itertools.combinations(both, len(second))]
    more = sum(each >= seen - 1e-9 for each in sums)
    less = sum(each <= seen + 1e-9 for each in sums)
    return more / len(sums), less / len(sums)


@pytest.mark.parametrize("seed", range(30))
def test_every_division_is_counted(seed: int) -> None:
    drawn = random.Random(seed)
    scores = [drawn.choice((0, 0, 0, 1, 3, -4)) for _ in range(12)]
    first, second = scores[: 4 + seed % 4], scores[4 + seed % 4 :]
    found = compare_scores(first, second)
    assert (found.more, found.less) == pytest.approx(counted(first, second))
    assert found.both == min(1, 2 * min(found.more, found.less))


@pytest.mark.parametrize("seed", range(20))
def test_saves_with_several_loads_and_losses(seed: int) -> None:
    """A save may lose more than one load, or be given up at its first loss."""
    drawn = random.Random(seed)
    saves = [(n := drawn.randint(1, 5), drawn.randint(0, min(n, 2))) for _ in range(11)]
    loads, lost = (sum(each) for each in zip(*saves, strict=True))
    scores = [events * loads - lost * trials for trials, events in saves]
    found = compare_rates(saves[:5], saves[5:])
    assert (found.more, found.less) == pytest.approx(counted(scores[:5], scores[5:]))


@pytest.mark.parametrize(("a", "b"), [((20, 0), (20, 6)), ((12, 5), (30, 1)), ((3, 3), (4, 0))])
def test_saves_of_one_load_are_tested_by_fisher(a: tuple[int, int], b: tuple[int, int]) -> None:
    samples = [[(1, 1)] * lost + [(1, 0)] * (loads - lost) for loads, lost in (a, b)]
    found = compare_rates(*samples)
    table = [[b[1], b[0] - b[1]], [a[1], a[0] - a[1]]]
    assert found.more == pytest.approx(fisher_exact(table, alternative="greater").pvalue)
    assert found.less == pytest.approx(fisher_exact(table, alternative="less").pvalue)
    assert found == fisher(a[0], a[1], b[0], b[1])


def test_p_can_be_far_below_what_draws_reach() -> None:
    """999 drawn divisions can't show less than 0.001."""
    assert compare_rates([(25, 0)] * 20, [(1, 1)] * 20).more == pytest.approx(
        1 / math.comb(40, 20), rel=1e-6
    )


def test_a_save_that_is_lost_sooner_is_worse() -> None:
    """All saves are lost on both sides; on one side at the second load."""
    assert compare_rates([(10, 1)] * 10, [(2, 1)] * 10).more < 1e-4


@pytest.mark.parametrize(
    ("first", "second"), [([], []), ([(5, 0)], [(5, 0)]), ([(1, 1)], [(1, 1)]), ([(4, 0)], [])]
)
def test_what_can_not_differ(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> None:
    assert compare_rates(first, second) == EQUAL


def test_many_saves_are_exchanged_in_blocks() -> None:
    """The two tails of a symmetric sample still add up, and a difference is still seen."""
    drawn = random.Random(1)
    scores = [drawn.random() for _ in range(1000)]
    alike = compare_scores(scores[:500], scores[500:])
    assert 1 <= alike.more + alike.less < 1.2
    assert compare_scores(scores[:500], [each + 0.2 for each in scores[500:]]).more < 1e-6


def test_rare_losses_of_many_saves_are_exchanged_one_by_one() -> None:
    """100,000 saves that are nearly all alike need no blocks."""
    first = [(25, 0)] * 50_000
    second = [(25, 0)] * 49_994 + [(25, 1)] * 6
    assert compare_rates(first, second).more == pytest.approx(0.5**6, rel=1e-3)


def test_fewest_saves() -> None:
    assert fewest_saves(0.05) == 4
    assert can_differ(4, 4, 0.05)
    assert not can_differ(3, 4, 0.05)
    assert fewest_saves(0.0005) == 8
    assert not can_differ(7, 7, 0.0005)
