"""The next test: the candidate and the number of loads that tell most per second.

What a test tells is the mutual information of its outcome (a loss or none) and the culprit. A boot
costs as much as many loads, so a candidate that was chosen gets as many loads as still pay.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestrator.bisect.belief import Belief, Counts
from orchestrator.bisect.rules import GOOD_RATE
from orchestrator.bisect.tester import Cost

Floats = npt.NDArray[np.float64]

#: Probability, per expected loss rate, with which a losing kernel may be clean in the longest test
#: of a search: 1.5 % at a rate of 0.1, 7 % at 0.5. An error of the search shows in later tests, and
#: is mended by further boots. The rarer the losses, the more loads there are to lose by it.
_TOLD = 0.15

#: Loads that each test has at least. They cost next to nothing beside a boot, and do no harm if the
#: first losses came by chance so soon that the rate looks too high.
_LEAST = 4

#: Candidates of which it is surer by this factor whether they lose are not looked at.
_DOUBT = 0.02


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
    options = _Options(belief, among)
    numbers = belief.numbers
    most = belief.loads_to_see(_TOLD * belief.expected_rate())
    useful = (numbers >= _LEAST) & (numbers <= max(most, _LEAST))
    found: Choice | None = None
    for part in options.parts():
        bits, loads = options.tell(part)
        candidates = options.candidates[part]
        likely = _likely_testable(belief, candidates)
        every = [costs(int(c)) for c in candidates]
        start = np.array([c.start_s for c in every])[:, None]
        seconds = start + np.array([c.load_s for c in every])[:, None] * loads
        score = bits * likely[:, None] / seconds * useful
        row, column = np.unravel_index(np.argmax(score), score.shape)
        if score[row, column] > (found.bits / found.seconds if found else 0):
            found = Choice(
                int(candidates[row]), int(numbers[column]),
                float(bits[row, column] * likely[row]), float(seconds[row, column]),
            )  # fmt: skip
    return found


class _Options:
    """The candidates of which it is not known whether they lose."""

    def __init__(self, belief: Belief, among: Sequence[int] | None) -> None:
        self.belief = belief
        ancestry, seen = belief.ancestry, belief.seen
        lost = belief.lost()
        doubt = lost * (1 - lost)
        if among is None:
            doubt[[*seen.untestable, *(c for group in seen.same for c in group[1:])]] = 0
            worth = doubt > max(_DOUBT * doubt.max(), 1e-9)
            self.candidates = np.flatnonzero(worth)
        else:
            self.candidates = np.asarray(among, dtype=np.intp)
        one_hot = np.zeros((ancestry.hypotheses, len(belief.rate)))
        one_hot[np.arange(len(one_hot)), belief.classes] = belief.hypothesis
        self.mass = ancestry.sums(one_hot, self.candidates)
        """Probability that a candidate loses, by class: (candidates, classes)."""

    def parts(self) -> Iterator[npt.NDArray[np.intp]]:
        """Yield places of candidates that have the same counts: the untested ones, and each other.

        Each tested one has counts of its own.
        """
        tested = np.array([int(c) in self.belief.seen.counts for c in self.candidates], dtype=bool)
        if not tested.all():
            yield np.flatnonzero(~tested)
        for place in np.flatnonzero(tested):
            yield np.array([place])

    def tell(self, part: npt.NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Return the bits and the expected loads of tests: (candidates, numbers of loads).

        Args:
            part: places of candidates that have the same counts.
        """
        belief, numbers = self.belief, self.belief.numbers
        counts = belief.seen.counts.get(int(self.candidates[part[0]]), Counts())
        before = belief.likelihood(counts)
        after = belief.likelihood(counts, numbers)
        clean = belief.rate @ (after / before).T  # classes, numbers
        mass = self.mass[part]
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

    Commits near others that don't build often don't build, either.
    """
    seen = belief.seen
    found = np.ones(len(candidates))
    if seen.untestable:
        near = max(4.0, belief.ancestry.candidates / 64)

        def beside(others: Iterable[int]) -> Floats:
            distance = np.abs(candidates[:, None] - np.array(sorted(others), dtype=np.intp))
            weight: Floats = np.exp2(-distance / near).sum(axis=1)
            return weight

        good = 1 + beside(seen.counts)
        found = good / (good + 2 * beside(seen.untestable))
        found[[int(c) in seen.counts for c in candidates]] = 1
    return found
