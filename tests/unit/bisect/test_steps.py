"""The course of bisections, simulated. The figures are in docs/bisect.md.

`LOSTTICK_TEST_BISECTIONS` sets how many are simulated at each point; `tox -e long` takes 1,000.
"""

import os
from collections.abc import Callable

import numpy as np
import pytest

from orchestrator.bisect.ancestry import Ancestry
from orchestrator.bisect.candidate import History
from orchestrator.bisect.rules import Find, Rules
from orchestrator.bisect.steps import Ending
from tests.support.simulated_bisections import Rate, Simulated, Tally, bisect, line, merged

RUNS = int(os.environ.get("LOSTTICK_TEST_BISECTIONS", "0"))

#: Of a few runs, one may be wrong by the stated error: the small suite takes a shorter history.
COMMITS, FEW = (1000, RUNS) if RUNS else (60, 8)


def lowest(right: float, runs: int) -> float:
    """Return the least share of right answers that a true share does not fall below by luck."""
    return right - 3 * (right * (1 - right) / runs) ** 0.5 if RUNS else right - 0.25


def tally(
    history: Callable[[np.random.Generator], History],
    rate: Callable[[Ancestry, int], Rate],
    right: Callable[[Simulated, int, Ancestry], bool],
    *,
    find: Find = Find.BREAK,
    broken: float = 0.0,
) -> Tally:
    """Simulate bisections, each with a culprit that is drawn."""
    rng, found = np.random.default_rng(1), Tally()
    ancestry: Ancestry | None = None
    for number in range(FEW):
        if ancestry is None or number % 10 == 0:
            ancestry = Ancestry(history(rng), find)
        culprit = int(rng.integers(1, ancestry.candidates))
        inner = rng.random(ancestry.candidates - 2) < broken
        fails = frozenset((np.flatnonzero(inner) + 1).tolist())
        one = bisect(ancestry, Rules(find=find), rng, rate(ancestry, culprit), broken=fails)
        found.add(one, right=right(one, culprit, ancestry))
    return found


def shared(rate: float) -> Callable[[Ancestry, int], Rate]:
    """Return the rates of candidates that all lose alike."""

    def of(ancestry: Ancestry, culprit: int) -> Rate:
        loses = ancestry.loses(range(ancestry.candidates))[:, culprit - 1]
        return lambda candidate: rate if loses[candidate] else 0.0

    return of


def is_right(one: Simulated, culprit: int, _: Ancestry) -> bool:
    return one.ending is Ending.FOUND and one.place.culprits == (culprit,)


def has_it(one: Simulated, culprit: int, _: Ancestry) -> bool:
    return one.ending is Ending.FOUND and culprit in one.place.culprits


def linear(_: np.random.Generator) -> History:
    return line(COMMITS)


def dag(rng: np.random.Generator) -> History:
    return merged(COMMITS, rng)


#: Mean loads and boots at most, by rate. The 95th percentile of boots is 20.
LOADS = {1.0: 60, 0.5: 62, 0.1: 364, 0.01: 3756}
BOOTS, MOST_BOOTS = 16, 20


@pytest.mark.parametrize("rate", LOADS)
def test_the_culprit_is_found(rate: float) -> None:
    found = tally(linear, shared(rate), is_right)
    print(f"\n{COMMITS} commits, p = {rate}: {found}")
    assert found.right / found.runs >= lowest(0.95, found.runs)
    assert np.mean(found.loads) <= LOADS[rate] * (1 if RUNS else 1.3)
    if rate >= 0.1:
        assert np.mean(found.boots) <= BOOTS
        assert np.quantile(found.boots, 0.95) <= MOST_BOOTS


@pytest.mark.parametrize("rate", [0.5, 0.01])
def test_the_fix_is_found(rate: float) -> None:
    found = tally(linear, shared(rate), is_right, find=Find.FIX)
    print(f"\n{COMMITS} commits, p = {rate}, find the fix: {found}")
    assert found.right / found.runs >= lowest(0.95, found.runs)


@pytest.mark.parametrize("rate", [1.0, 0.1])
def test_the_culprit_is_found_among_merges(rate: float) -> None:
    found = tally(dag, shared(rate), is_right)
    print(f"\n{COMMITS} commits with merges, p = {rate}: {found}")
    assert found.right / found.runs >= lowest(0.95, found.runs)


@pytest.mark.parametrize("rate", [1.0, 0.1])
def test_builds_that_fail_are_no_evidence(rate: float) -> None:
    found = tally(dag, shared(rate), has_it, broken=0.2)
    print(f"\n{COMMITS} commits with merges, p = {rate}, 20 % don't build: {found}")
    assert found.right / found.runs >= lowest(0.95, found.runs)


@pytest.mark.parametrize(
    ("rate", "ending"),
    [(0.0, Ending.NEVER), (1.0, Ending.ALWAYS), (0.1, Ending.ALWAYS), (0.01, Ending.ALWAYS)],
)
def test_no_culprit_is_told(rate: float, ending: Ending) -> None:
    found = tally(
        linear, lambda *_: lambda _: rate, lambda one, *_: one.ending is ending
    )  # fmt: skip
    print(f"\n{COMMITS} commits, every one loses at {rate}: {found}")
    assert found.right / found.runs >= lowest(0.95, found.runs)
