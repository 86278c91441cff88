"""Change points: false alarms of series that are read every night, and the delay of true ones.

A series of 200 nights, or of the 1,000 of docs/statistics.md if LOSTTICK_TEST_CAMPAIGNS is at least
1,000. `-s` prints what is found.
"""

import os
from itertools import pairwise

import numpy as np
import pytest

from orchestrator.stats.change_point import changes, evidence
from tests.support.simulated_campaigns import LOST, Draw, alike, all_or_none, beta, simulate

LONG = int(os.environ.get("LOSTTICK_TEST_CAMPAIGNS", "0")) >= 1000

NIGHTS = 1000 if LONG else 200

#: As `losttick history trend` divides its error among 24 cells with four series each.
ERROR = 0.001 / (24 * 4)

LOADS = 299


def losses(draw: Draw, nights: int, seed: int) -> list[int]:
    """Return the losses of each night, of 25 loads a save that is given up at a loss."""
    steps = simulate(draw, planned=LOADS, size=nights, seed=seed).steps
    return ((steps & LOST) > 0).sum(axis=0).tolist()


def first_alarm(lost: list[int], begin: int = 2, loads: int = LOADS) -> int | None:
    """Return the first night after which a reading shows a change."""
    for nights in range(begin, len(lost) + 1):
        if evidence(lost[:nights], [loads] * nights) >= -np.log(ERROR):
            return nights
    return None


CELLS: dict[str, Draw] = {
    "never lost": alike(0),
    "misdiagnosed once in a million": alike(1e-6),
    "0.1%": alike(0.001),
    "1%": alike(0.01),
    "5%": alike(0.05),
    "30%": alike(0.3),
    "all or none, 2%": all_or_none(0.02),
    "all or none, 20%": all_or_none(0.2),
    "Beta(0.1, 0.9)": beta(0.1, 0.9),
    "Beta(2, 8)": beta(2, 8),
}


def test_false_alarms_of_cells_that_do_not_change() -> None:
    """24 cells on a host, each read every night: at most one alarm is allowed in all."""
    alarms = []
    for cell in range(24):
        name = list(CELLS)[cell % len(CELLS)]
        if first_alarm(losses(CELLS[name], NIGHTS, seed=cell)):
            alarms.append(name)
    print(f"\nfalse alarms in {NIGHTS} nights of 24 cells: {alarms or 'none'}")
    assert len(alarms) <= 1


def test_false_alarms_of_classes_that_depend_on_the_save() -> None:
    """24 cells on a host, of whose 12 saves a night each has the one or the other class."""
    alarms = []
    for cell in range(24):
        share = (0.02, 0.1, 0.3, 0.5)[cell % 4]
        saves = np.random.default_rng(cell).binomial(12, share, NIGHTS).tolist()
        if first_alarm(saves, loads=12):
            alarms.append(share)
    print(f"\nfalse alarms of classes in {NIGHTS} nights of 24 cells: {alarms or 'none'}")
    assert len(alarms) <= 1


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_the_delay_of_a_change_from_nothing(rate: float) -> None:
    """Nights from the first with the new rate until a reading shows it."""
    before, tries, delays = 100, 100 if LONG else 10, []
    for seed in range(tries):
        lost = [0] * before + losses(alike(rate), 30, seed)
        alarm = first_alarm(lost, before)
        assert alarm
        assert alarm > before
        delays.append(alarm - before)
    print(f"\n0 to {rate:.0%}: seen after {np.mean(delays):.1f} nights, at most {max(delays)}")
    assert max(delays) <= 10


def test_changes_are_found_where_they_are() -> None:
    lost = [0] * 40 + losses(alike(0.05), 30, 1) + [0] * 50
    found = changes(lost, [LOADS] * len(lost), ERROR)
    assert [each.first <= at <= each.last for each, at in zip(found, (40, 70), strict=True)] == [
        True, True,
    ]  # fmt: skip
    assert found[0].before == (0, 40 * LOADS)
    assert found[0].after == (sum(lost), 30 * LOADS)
    assert all(one.last < other.first for one, other in pairwise(found))


def test_the_credible_range_has_the_change() -> None:
    """In at least 90% of series; 95% is stated, and 40 series are few."""
    inside = 0
    for seed in range(40):
        lost = losses(alike(0.01), 30, seed) + losses(alike(0.04), 30, seed + 1000)
        found = changes(lost, [LOADS] * 60, ERROR)
        inside += any(each.first <= 30 <= each.last for each in found)
    assert inside >= 36


@pytest.mark.parametrize("lost", [[], [5], [0, 0, 0], [LOADS, LOADS]])
def test_series_without_a_change(lost: list[int]) -> None:
    assert changes(lost, [LOADS] * len(lost), ERROR) == []


def test_a_night_without_loads_says_nothing() -> None:
    lost = [0] * 20 + [10] * 10
    loads = [LOADS] * 30
    with_gap = changes([*lost[:20], 0, *lost[20:]], [*loads[:20], 0, *loads[20:]], ERROR)
    (found,) = changes(lost, loads, ERROR)
    assert with_gap[0].rates == found.rates
