"""The error rates that the answer of a fleet states, and its power, on simulated fleets.

20 fleets a point, or as many as LOSTTICK_TEST_CAMPAIGNS says: 2,000 for the tables in
docs/statistics.md. `-s` prints them.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from scipy.stats import binom

from orchestrator.fleet.answer import FleetAnswer, Where, against_first, answer
from orchestrator.results.comparison.compare import ERROR, Answer
from tests.support.made_fleets import made
from tests.support.simulated_campaigns import Draw, alike, all_or_none, beta
from tests.support.simulated_saves import draw_saves

#: Fleets a point.
FLEETS = int(os.environ.get("LOSTTICK_TEST_CAMPAIGNS", "20"))

#: Fleets that are drawn at a time.
AT_A_TIME = 500

OLD, NEW = "old", "new"


@dataclass(frozen=True)
class Point:
    """Fleets of one kind. Hosts have numbers from 0."""

    draw: Callable[[int, str], Draw]
    """Draws the loss rates of a host's saves under a kernel."""
    hosts: int = 10
    loads: Callable[[int, str], int] = lambda host, kernel: 100
    loads_per_save: int = 25
    stop_after: int | None = None
    cells: int = 1
    one_of: int = 1
    """The factor by which fewer fleets are simulated, because they take long."""


def answers(point: Point, fleets: int = FLEETS, *, bad: bool = True) -> Iterator[FleetAnswer]:
    """Yield the answers of simulated fleets; without their bad hosts if nobody asks for those."""
    for begin in range(0, fleets, AT_A_TIME):
        size = min(AT_A_TIME, fleets - begin)
        drawn = {
            (host, kernel): draw_saves(
                point.draw(host, kernel), planned=point.loads(host, kernel),
                loads_per_save=point.loads_per_save, stop_after=point.stop_after,
                size=size * point.cells, seed=begin * 1000 + 2 * host + (kernel == NEW),
            )
            for host in range(point.hosts)
            for kernel in (OLD, NEW)
        }  # fmt: skip
        for number in range(size):
            tested = [
                made(f"h{host}", kernel, saves.of(number * point.cells + cell), cell=f"cell{cell}")
                for (host, kernel), saves in drawn.items()
                for cell in range(point.cells)
            ]
            if bad:
                yield answer(tested, (OLD, NEW))
            else:
                cells, tests = against_first(tested, (OLD, NEW))
                yield FleetAnswer((OLD, NEW), cells, (), tests)


def within(errors: int, tries: int, what: str) -> None:
    """Fail if a rule that errs as often as stated gives so many errors in 1 of 1,000 tests."""
    print(f"{what}: {errors / tries:.2%} of {tries:,}")
    assert errors <= int(binom.isf(0.001, tries, ERROR)), what


def always(draw: Draw) -> Callable[[int, str], Draw]:
    """Return draws that depend neither on the host nor on the kernel."""
    return lambda host, kernel: draw


ALIKE = {
    "all 2%": Point(always(alike(0.02))),
    "all 30%": Point(always(alike(0.3)), one_of=4),
    "all or none, 20%": Point(always(all_or_none(0.2))),
    "Beta(2, 8)": Point(always(beta(2, 8))),
    "all 5%, 12 cells": Point(always(alike(0.05)), cells=12, one_of=4),
    "all 5%, 40 hosts of 20 loads": Point(
        always(alike(0.05)), hosts=40, loads=lambda host, kernel: 20
    ),
    "all 5%, 25 to 250 loads": Point(
        always(alike(0.05)),
        loads=lambda host, kernel: 25 * (1 + ((7 if kernel == OLD else 3) * host + 2) % 10),
    ),
    "all 5%, each ends at 3 losses": Point(always(alike(0.05)), stop_after=3),
    "all 10%, each ends at a loss, 5 loads a save, 40 hosts": Point(
        always(alike(0.1)), hosts=40, loads_per_save=5, stop_after=1
    ),
}

#: Fleets whose hosts differ, under kernels that do not.
HOSTS_DIFFER = {
    "hosts lose 0 to 54%": Point(lambda host, kernel: alike(0.06 * host)),
    "hosts lose 0 to 54%, and the worse ones ran the new kernel longer": Point(
        lambda host, kernel: alike(0.06 * host),
        loads=lambda host, kernel: 100 + 30 * host * (kernel == NEW),
    ),
    "one host of 11 loses 60%, and ran the new kernel 6 times as long": Point(
        lambda host, kernel: alike(0.6 if host == 4 else 0.0), hosts=11,
        loads=lambda host, kernel: 600 if (host, kernel) == (4, NEW) else 100,
    ),
    "saves of half of the hosts lose all or none, 30%": Point(
        lambda host, kernel: all_or_none(0.3) if host % 2 else alike(0.01)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [*ALIKE, *HOSTS_DIFFER])
def test_false_answers_about_equal_kernels(name: str) -> None:
    """`worse` or `better` in any cell, of all hosts or of one, is an error of the answer."""
    point = (ALIKE | HOSTS_DIFFER)[name]
    fleets = -(-FLEETS // point.one_of)
    wrong = named = 0
    for found in answers(point, fleets, bad=name in ALIKE):
        wrong += any(cell.answer in (Answer.WORSE, Answer.BETTER) for cell in found.cells)
        named += bool(found.bad)
    within(wrong, fleets, f"false worse or better: {name}")
    if name in ALIKE:
        within(named, fleets, f"hosts falsely called bad: {name}")


@pytest.mark.parametrize("rates", [(0.0, 0.0205), (0.01, 0.0305), (0.1, 0.1205)])
@pytest.mark.parametrize("uneven", [False, True])
def test_false_same(rates: tuple[float, float], *, uneven: bool) -> None:
    """The true difference is just beyond the margin of 2 %."""
    loads = (lambda host, kernel: 50 + 100 * (host % 3)) if uneven else (lambda host, kernel: 150)
    point = Point(lambda host, kernel: alike(rates[kernel == NEW]), loads=loads, hosts=10)
    wrong = sum(found.cells[0].answer is Answer.SAME for found in answers(point, bad=False))
    within(wrong, FLEETS, f"false same: {rates[0]:.1%} and {rates[1]:.1%}, uneven: {uneven}")


#: Fleets with a bad kernel, and how often the answer says so at least, of 1.
POWER = {
    "1% on all of 10 hosts, 100 loads": (Point(lambda h, k: alike(0.01 * (k == NEW))), 0.4),
    "1% on all of 10 hosts, 300 loads": (
        Point(lambda h, k: alike(0.01 * (k == NEW)), loads=lambda h, k: 300), 0.95,
    ),
    "1% on all of 200 hosts, 20 loads": (
        Point(lambda h, k: alike(0.01 * (k == NEW)), hosts=200, loads=lambda h, k: 20), 0.95,
    ),
    "5% on all of 10 hosts, 100 loads": (Point(lambda h, k: alike(0.05 * (k == NEW))), 0.95),
    "5% on all of 10 hosts, 20 loads": (
        Point(lambda h, k: alike(0.05 * (k == NEW)), loads=lambda h, k: 20), 0.2,
    ),
    "20% on all of 10 hosts, 20 loads": (
        Point(lambda h, k: alike(0.2 * (k == NEW)), loads=lambda h, k: 20), 0.95,
    ),
    "20% on all of 2 hosts, 100 loads": (
        Point(lambda h, k: alike(0.2 * (k == NEW)), hosts=2), 0.95,
    ),
    "20% on all of 10 hosts, 100 loads, one host loses 60% under both": (
        Point(lambda h, k: alike(0.6 if h == 4 else 0.2 * (k == NEW))), 0.95,
    ),
    "20% on one host of 10, 100 loads": (
        Point(lambda h, k: alike(0.2 * (h == 4 and k == NEW))), 0.4,
    ),
    "20% on one host of 10, 200 loads": (
        Point(lambda h, k: alike(0.2 * (h == 4 and k == NEW)), loads=lambda h, k: 200), 0.95,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", POWER)
def test_power(name: str) -> None:
    """Shares in which a bad kernel is called worse, and where, and which hosts are called bad."""
    point, least = POWER[name]
    fleets = max(FLEETS // 10, 10)
    wheres: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    for found in answers(point, fleets):
        (cell,) = found.cells
        if cell.answer is Answer.WORSE:
            named = ", ".join(cell.worse_on) if cell.where is Where.NAMED else ""
            wheres[f"{cell.where} {named}".strip()] += 1
        bad.update({each.host for each in found.bad})
    told = sum(wheres.values())
    print(f"worse, {name}: {told / fleets:.1%} of {fleets:,}: {dict(wheres.most_common(4))}; "
          f"bad hosts: {dict(bad.most_common(3))}")  # fmt: skip
    assert told >= int(binom.ppf(0.001, fleets, least)), name
