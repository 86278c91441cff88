"""The course of bisections, simulated. The figures are in docs/bisect.md.

`LOSTTICK_TEST_BISECTIONS` sets how many are simulated at each point; `tox -e long` takes 400.
"""

import os
import time
from collections.abc import Callable

import numpy as np
import pytest

from orchestrator.bisect.ancestry import Ancestry
from orchestrator.bisect.answer import remaining
from orchestrator.bisect.belief import Belief, Counts, Seen
from orchestrator.bisect.candidate import History
from orchestrator.bisect.rules import Find, Rules
from orchestrator.bisect.steps import MOST_FAILED, Ending, Step, next_step
from tests.support.simulated_bisections import (
    COST,
    Rate,
    Simulated,
    Tally,
    bisect,
    line,
    merged,
)

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
    rules: Rules | None = None,
    broken: float = 0.0,
) -> Tally:
    """Simulate bisections, each with a culprit that is drawn."""
    rng, found, rules = np.random.default_rng(1), Tally(), rules or Rules()
    ancestry: Ancestry | None = None
    for number in range(FEW):
        if ancestry is None or number % 10 == 0:
            ancestry = Ancestry(history(rng), rules.find)
        culprit = int(rng.integers(1, ancestry.candidates))
        inner = rng.random(ancestry.candidates - 2) < broken
        fails = frozenset((np.flatnonzero(inner) + 1).tolist())
        one = bisect(ancestry, rules, rng, rate(ancestry, culprit), broken=fails)
        found.add(one, right=right(one, culprit, ancestry))
    return found


def shared(rate: float) -> Callable[[Ancestry, int], Rate]:
    """Return the rates of candidates that all lose alike."""

    def of(ancestry: Ancestry, culprit: int) -> Rate:
        loses = ancestry.loses(range(ancestry.candidates))[:, culprit - 1]
        return lambda candidate: rate if loses[candidate] else 0.0

    return of


def changing(first: float, later: float) -> Callable[[Ancestry, int], Rate]:
    """Return the rates of candidates of which those in the later half lose at another rate."""

    def of(ancestry: Ancestry, culprit: int) -> Rate:
        change = (culprit + ancestry.candidates) // 2
        return lambda c: 0.0 if c < culprit else first if c < change else later

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
    found = tally(linear, shared(rate), is_right, rules=Rules(find=Find.FIX))
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


def test_losses_that_become_rarer_later_do_no_harm() -> None:
    found = tally(linear, changing(0.9, 0.1), is_right)
    print(f"\n{COMMITS} commits, p = 0.9, later 0.1: {found}")
    assert found.right / found.runs >= lowest(0.95, found.runs)


@pytest.mark.parametrize(("first", "later"), [(0.05, 0.9), (0.3, 0.6)])
def test_losses_that_become_frequent_later_are_no_silent_error(first: float, later: float) -> None:
    """Kernels that lose more rarely may pass for clean, but no answer rules their rate out."""

    def told(one: Simulated, culprit: int, ancestry: Ancestry) -> bool:
        rate = changing(first, later)(ancestry, culprit)
        loads = one.belief.seen.counts[one.place.clean].loads
        bound = 1 - 0.05 ** (1 / loads)
        said = one.ending is Ending.FOUND
        return not said or (rate(one.place.losing) > 0 and rate(one.place.clean) <= bound)

    found = tally(linear, changing(first, later), told)
    print(f"\n{COMMITS} commits, p = {first}, later {later}: what is said holds: {found}")
    assert found.right / found.runs >= lowest(0.95, found.runs)
    sure = tally(linear, changing(first, later), is_right, rules=Rules(parent_rate=first))
    print(f"{COMMITS} commits, p = {first}, later {later}, --parent-rate {first}: {sure}")
    assert sure.right / sure.runs >= lowest(0.75, sure.runs)


def test_a_range_that_does_not_build_is_left_soon() -> None:
    """A third of the history, in its middle, does not build."""
    ancestry = Ancestry(line(300), Find.BREAK)
    for culprit, ending, most in ((40, Ending.FOUND, 12), (250, Ending.FOUND, 12),
                                  (150, Ending.UNDECIDED, MOST_FAILED)):  # fmt: skip
        one = bisect(
            ancestry, Rules(), np.random.default_rng(culprit),
            lambda c, first=culprit: float(c >= first), broken=frozenset(range(100, 200)),
        )  # fmt: skip
        assert (one.ending, one.failed <= most) == (ending, True)
        left = remaining(one.belief)
        assert culprit in left
        assert 90 < min(left) <= max(left) < 210 or len(left) == 1


def test_the_next_test_of_a_long_history_is_chosen_in_time() -> None:
    """15,000 commits with merges, as between two releases of Linux."""
    commits = 15_000 if RUNS else 1_000
    ancestry = Ancestry(merged(commits, np.random.default_rng(7)), Find.BREAK)
    seen = Seen({commits: Counts(9, 3), 0: Counts(9, 0), commits // 2: Counts(9, 0)})
    began_s = time.process_time()
    step = next_step(Belief(ancestry, Rules(), seen), [], lambda _: COST)
    took_s = time.process_time() - began_s
    assert isinstance(step, Step)
    print(f"\n{commits} commits: a step is chosen in {took_s:.2f} s of CPU time")
