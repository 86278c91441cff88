"""The next test: the candidate and the number of loads that tell most per second.

What a test tells is the mutual information of its outcome (a loss or none) and the culprit. A boot
costs as much as many loads, so a candidate that was chosen gets as many loads as still pay.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestrator.bisect.belief import Belief, Counts
from orchestrator.bisect.rules import GOOD_RATE
from orchestrator.bisect.tester import Cost

Floats = npt.NDArray[np.float64]

#: Probability with which a losing kernel may be clean in the longest test of a search. Longer ones
#: hardly tell more: an error of the search shows in later tests, and is mended.
_TOLD = 0.03


@dataclass(frozen=True, slots=True)
class Choice:
    """A test to do next."""

    candidate: int
    loads: int
    bits: float
    """Expected information on the culprit."""
    seconds: float
    """Expected time."""


def choose(
    belief: Belief, costs: Callable[[int], Cost], among: Sequence[int] | None = None
) -> Choice | None:
    """Return the test that tells most per second; None if none tells anything.

    Args:
        belief: what is known.
        costs: the expected time for each candidate.
        among: the candidates to choose from; by default, all that can be tested.
    """
    options = _Options(belief)
    most = belief.loads_to_see(_TOLD)
    numbers = belief.numbers
    useful = numbers <= most
    found: Choice | None = None
    chosen = options.testable if among is None else np.asarray(among, dtype=np.intp)
    fresh = np.array([c for c in chosen if c not in belief.seen.counts], dtype=np.intp)
    parts = [fresh, *(np.array([c]) for c in chosen if c in belief.seen.counts)]
    for part in parts:
        if not len(part):
            continue
        bits, loads = options.tell(part)
        likely = _likely_testable(belief, part)
        every = [costs(int(c)) for c in part]
        start = np.array([c.start_s for c in every])[:, None]
        seconds = start + np.array([c.load_s for c in every])[:, None] * loads
        score = bits * likely[:, None] / seconds * useful
        row, column = np.unravel_index(np.argmax(score), score.shape)
        if score[row, column] > 0 and (
            found is None or score[row, column] > found.bits / found.seconds
        ):
            found = Choice(
                int(part[row]), int(numbers[column]), float(bits[row, column] * likely[row]),
                float(seconds[row, column]),
            )  # fmt: skip
    return found


class _Options:
    def __init__(self, belief: Belief) -> None:
        self.belief = belief
        count = len(belief.rate)
        one_hot = np.zeros((belief.ancestry.hypotheses, count))
        one_hot[np.arange(len(one_hot)), belief.classes] = belief.hypothesis
        self.mass = belief.ancestry.sums(one_hot)
        """Probability that a candidate loses, by class: (candidates, classes)."""
        others = {c for group in belief.seen.same for c in group[1:]} | set(belief.seen.untestable)
        self.testable = np.array(
            [c for c in range(belief.ancestry.candidates) if c not in others], dtype=np.intp
        )

    def tell(self, candidates: npt.NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Return the bits and the expected loads of tests: (candidates, numbers of loads).

        The candidates are untested, or one.
        """
        belief, numbers = self.belief, self.belief.numbers
        counts = belief.seen.counts.get(int(candidates[0]), Counts())
        before = belief.likelihood(counts)
        after = belief.likelihood(counts, numbers)
        clean = belief.rate @ (after / before).T  # classes, numbers
        mass = self.mass[candidates]
        loses = np.clip(mass.sum(axis=1, keepdims=True), 0, 1)
        good = (1 - loses) * -np.expm1(numbers * np.log1p(-GOOD_RATE))
        told = mass @ (1 - clean) + good
        bits = _entropy(told) - mass @ _entropy(clean)
        rates = belief.rates[:, None]
        each = belief.rate @ ((1 - (1 - rates) ** numbers) / rates)
        loads = (1 - loses) * numbers + mass @ each
        return np.maximum(bits, 0), loads


def _entropy(p: Floats) -> Floats:
    p = np.clip(p, 1e-12, 1 - 1e-12)
    found: Floats = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    return found


def _likely_testable(belief: Belief, candidates: npt.NDArray[np.intp]) -> Floats:
    """Return a guess of the probability that candidates can be tested.

    Commits near one that doesn't build often don't build, either.
    """
    found = np.ones(len(candidates))
    if belief.seen.untestable:
        failed = np.array(sorted(belief.seen.untestable))
        distance = np.abs(candidates[:, None] - failed).min(axis=1)
        found = 1 - 0.7 * np.exp2(-distance / max(4.0, belief.ancestry.candidates / 64))
        found[[int(c) in belief.seen.counts for c in candidates]] = 1
    return found
