"""The course of a bisection: the losing end, the clean end, the search, and the confirmation.

The next step is a pure function of what was tested. A bisection that is resumed goes on as if
it had never stopped.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from orchestrator.bisect.belief import Belief, Counts
from orchestrator.bisect.choose import choose
from orchestrator.bisect.rules import Find
from orchestrator.bisect.tester import Cost

#: Boots after which a bisection that has no answer ends without one.
MOST_BOOTS = 80

#: Candidates that can't be tested, after which a bisection ends without an answer.
MOST_FAILED = 60

#: Loss rate that is always ruled out for the clean neighbour of a culprit. Where losses became more
#: frequent later in the history, kernels before the culprit lose, too, and must not pass for clean.
_PARENT_RATE = 0.5

#: Probability with which a losing kernel may be clean in a test that is to confirm.
_MISSED = 0.1

#: Probability with which a clean end that loses may be clean in its first test. All that is clean
#: later speaks for it, too.
_MISSED_AT_END = 0.5

#: Probability with which a losing end of the lowest rate is taken for a clean one.
_NEVER_MISSED = 0.01


#: Probability of a culprit from which on the tests that are to confirm it tell most.
_WORTH_CONFIRMING = 0.85

#: Losses at the losing end. They say how many loads other candidates need, at no further boot.
_LOSSES_AT_END = 6


class Phase(StrEnum):
    """The reason for a test."""

    LOSING_END = "losing end"
    CLEAN_END = "clean end"
    SEARCH = "search"
    CONFIRM = "confirmation"


class Ending(StrEnum):
    """How a bisection ended."""

    FOUND = "found"
    NEVER = "neither end loses"
    ALWAYS = "both ends lose"
    UNTESTABLE_END = "an end can't be tested"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Step:
    """A test to do."""

    candidate: int
    loads: int
    """The highest number of loads."""
    phase: Phase
    losses: int = 1
    """The number of losses after which no further load tells enough."""


@dataclass(frozen=True, slots=True)
class Boot:
    """A test that was done; of an untestable candidate, both counts are 0."""

    candidate: int
    loads: int
    losses: int


@dataclass(frozen=True, slots=True)
class Place:
    """Culprits that no test can tell apart, and the candidates on both sides of them."""

    culprits: tuple[int, ...]
    probability: float
    losing: int
    clean: int


def ends(belief: Belief) -> tuple[int, int]:
    """Return the losing end and the clean end."""
    newest = belief.ancestry.candidates - 1
    return (newest, 0) if belief.rules.find is Find.BREAK else (0, newest)


def next_step(belief: Belief, tests: Sequence[Boot], costs: Callable[[int], Cost]) -> Step | Ending:
    """Return the next test, or how the bisection ends.

    Args:
        belief: what is known.
        tests: all tests so far, in their order.
        costs: the expected time for a test of each candidate.
    """
    losing, clean = ends(belief)
    seen = belief.seen
    if losing in seen.untestable or clean in seen.untestable:
        return Ending.UNTESTABLE_END
    at_end = _counts(belief, losing)
    needed = _to_rule_out(belief.rules.min_rate, _NEVER_MISSED)
    if not at_end.losses and at_end.loads >= needed:
        return Ending.NEVER
    if len(tests) >= MOST_BOOTS or len(seen.untestable) >= MOST_FAILED:
        return Ending.UNDECIDED
    if not at_end.losses:
        return Step(losing, needed - at_end.loads, Phase.LOSING_END, _LOSSES_AT_END)
    sure = enough(belief)
    if belief.hypothesis[belief.ancestry.always] >= sure:
        return Ending.ALWAYS
    if not _counts(belief, clean).loads:
        first = choose(belief, costs, [clean])
        most = belief.loads_to_see(_MISSED_AT_END * share_of_error(belief))
        return Step(clean, min(first.loads, most) if first else 1, Phase.CLEAN_END)
    place = likeliest(belief)
    missing = _confirm(belief, tests, place) if place.probability >= _WORTH_CONFIRMING else None
    if missing:
        return missing
    if place.probability >= sure:
        return Ending.FOUND
    choice = choose(belief, costs)
    if choice is None:
        return Ending.UNDECIDED
    return Step(choice.candidate, choice.loads, Phase.SEARCH)


def enough(belief: Belief) -> float:
    """Return the probability with which an answer is given."""
    return 1 - share_of_error(belief) * (1 - belief.rules.confidence)


def share_of_error(belief: Belief) -> float:
    """Return how much of the stated error an answer may use.

    The prior probabilities are lower for rarer losses, so too few loads pass for enough then.
    The rarer the losses seem to be, the less of the error may be used.
    """
    return min(1.0, 2.4 * math.sqrt(belief.expected_rate()))


def likeliest(belief: Belief) -> Place:
    """Return the culprits that are likeliest, with those that no test can tell from them."""
    ancestry = belief.ancestry
    testable = np.ones(ancestry.candidates, dtype=np.bool_)
    testable[list(belief.seen.untestable)] = False
    told = ancestry.told_apart(testable)[: ancestry.candidates - 1]
    _, groups = np.unique(told, return_inverse=True)
    mass = np.bincount(groups, weights=belief.hypothesis[: len(told)])
    best = int(np.argmax(mass))
    members = np.flatnonzero(groups == best)
    losing, clean = _sides(belief, members, testable)
    return Place(tuple(int(m) + 1 for m in members), float(mass[best]), losing, clean)


def _sides(
    belief: Belief, members: npt.NDArray[np.intp], testable: npt.NDArray[np.bool_]
) -> tuple[int, int]:
    """Return the losing and the clean candidate nearest to the likeliest culprits.

    The changed side is the first descendant, the other side the last of its ancestors.
    """
    every = np.flatnonzero(testable)
    loses = belief.ancestry.losing(int(members[0]))[every]
    changed = loses if belief.rules.find is Find.BREAK else ~loses
    after = int(every[np.argmax(changed)])
    above = belief.ancestry.ancestors(after)
    before = int(every[~changed & above[every]].max(initial=0))
    losing, clean = (after, before) if belief.rules.find is Find.BREAK else (before, after)
    return belief.seen.kernel_of(losing), belief.seen.kernel_of(clean)


def _confirm(belief: Belief, tests: Sequence[Boot], place: Place) -> Step | None:
    """Return the test that is missing for culprit, parent, culprit; None if none is.

    A clean test counts with half of the loads in which a losing kernel is hardly ever clean, if
    the kernel has had that many in all its tests.
    """
    needed = max(
        clean_loads(belief),
        _to_rule_out(belief.rules.parent_rate or _PARENT_RATE, 1 - belief.rules.confidence),
    )
    before = _counts(belief, place.clean).loads
    least = max(needed - before, (needed + 1) // 2)
    enough = before >= needed
    culprit, parent = place.losing, place.clean
    if belief.rules.find is Find.FIX:
        culprit, parent = parent, culprit
    wanted = [culprit, parent, culprit]
    for test in tests:
        if wanted and belief.seen.kernel_of(test.candidate) == wanted[0]:
            counts = enough and test.loads >= (needed + 1) // 2 and not test.losses
            if test.losses if wanted[0] == place.losing else counts:
                wanted.pop(0)
    if not wanted:
        return None
    loads = least if wanted[0] == place.clean else losing_loads(belief)
    return Step(wanted[0], loads, Phase.CONFIRM)


def clean_loads(belief: Belief) -> int:
    """Return the loads in which a losing kernel is hardly ever clean."""
    return belief.loads_to_see(_MISSED)


def losing_loads(belief: Belief) -> int:
    """Return the highest number of loads of a kernel that is to lose once more."""
    return belief.loads_to_see(_MISSED / 10)


def _to_rule_out(rate: float, error: float) -> int:
    """Return the loads without a loss that rule a loss rate out."""
    return math.ceil(math.log(error) / math.log1p(-rate))


def _counts(belief: Belief, candidate: int) -> Counts:
    return belief.seen.counts.get(belief.seen.kernel_of(candidate), Counts())
