"""The probability of each culprit after the tests, and of each loss rate with it.

A clean kernel loses at `GOOD_RATE`, and a losing one at a rate that all losing kernels share
and nobody knows. With a small probability, a losing kernel has a rate of its own: so a
kernel that was clean in a few loads is never quite ruled out by them. Hypotheses that no test
has told apart share the probabilities of rates; they make a class.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestrator.bisect.ancestry import Ancestry
from orchestrator.bisect.rules import ALWAYS, GOOD_RATE, NEVER, ODD_ONE, Rules

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Counts:
    """Loads of one kernel over all of its tests."""

    loads: int = 0
    losses: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.loads + other.loads, self.losses + other.losses)


@dataclass(frozen=True, slots=True)
class Seen:
    """The results of all tests so far."""

    counts: Mapping[int, Counts]
    """By candidate; of those with one kernel, by the first one."""
    same: Sequence[Sequence[int]] = ()
    """Groups of candidates with one kernel, each with its first one first."""
    untestable: Set[int] = frozenset()

    def kernel_of(self, candidate: int) -> int:
        """Return the candidate that stands for all that have the same kernel."""
        return next((group[0] for group in self.same if candidate in group), candidate)


class Belief:
    """The probabilities of all hypotheses."""

    def __init__(self, ancestry: Ancestry, rules: Rules, seen: Seen) -> None:
        """Compute the probabilities from all that was seen."""
        self.ancestry = ancestry
        self.rules = rules
        self.seen = seen
        self.rates, self._rate_prior = rules.rates()
        self.numbers = rules.numbers()
        """Numbers of loads that a test may have."""
        prior = np.full(ancestry.hypotheses, (1 - NEVER - ALWAYS) / (ancestry.candidates - 1))
        prior[ancestry.never], prior[ancestry.always] = NEVER, ALWAYS
        tested = list(seen.counts)
        patterns = ancestry.loses(tested)
        _, first, self.classes = np.unique(
            np.packbits(patterns, axis=0).T, axis=0, return_index=True, return_inverse=True
        )
        self.classes = self.classes.reshape(-1)
        log = np.tile(np.log(self._rate_prior), (len(first), 1))
        for row, candidate in enumerate(tested):
            counts = seen.counts[candidate]
            loses = patterns[row, first]
            log[loses] += np.log(self.likelihood(counts)[0])
            log[~loses] += _log_clean(counts)
        # Subtract the maximum: with many losses all of them are below the smallest float.
        joint = np.exp(log - log.max())
        possible = prior * self._agree()
        mass = np.bincount(self.classes, weights=possible, minlength=len(first))
        total = float((mass * joint.sum(axis=1)).sum())
        self.hypothesis = possible * joint.sum(axis=1)[self.classes] / total
        """Probability of each hypothesis."""
        self.rate = joint / np.maximum(joint.sum(axis=1, keepdims=True), 1e-300)
        """Probability of each rate, given each class: (classes, rates)."""

    def likelihood(self, counts: Counts, more: npt.ArrayLike = (0,)) -> Floats:
        """Return the probability of counts in a losing kernel.

        Args:
            counts: what was counted.
            more: numbers of further loads, all without a loss.

        Returns:
            The probability for each number and each shared rate: (numbers, rates).
        """
        clean = np.asarray(more)[:, None] + (counts.loads - counts.losses)
        plain = self.rates**counts.losses * (1 - self.rates) ** clean
        own = plain @ self._rate_prior
        found: Floats = np.maximum((1 - ODD_ONE) * plain + ODD_ONE * own[:, None], 1e-300)
        return found

    def lost(self) -> Floats:
        """Return the probability that each candidate loses."""
        return self.ancestry.sums(self.hypothesis[:, None])[:, 0]

    def shared_rate(self) -> Floats:
        """Return the probability of each rate that losing kernels share."""
        mass = np.bincount(self.classes, weights=self.hypothesis, minlength=len(self.rate))
        found: Floats = mass @ self.rate
        return found

    def expected_rate(self) -> float:
        """Return the mean of the rates that losing kernels may share."""
        return float(self.shared_rate() @ self.rates)

    def loads_to_see(self, missed: float) -> int:
        """Return the loads after which a losing kernel is still clean with this probability."""
        clean = (1 - self.rates) ** self.numbers[:, None] @ self.shared_rate()
        return int(self.numbers[min(int((clean > missed).sum()), len(self.numbers) - 1)])

    def _agree(self) -> Floats:
        """Return 1 for each hypothesis under which candidates of one kernel behave alike."""
        found = np.ones(self.ancestry.hypotheses)
        for group in self.seen.same:
            rows = self.ancestry.loses(group)
            found *= (rows == rows[0]).all(axis=0)
        return found


def _log_clean(counts: Counts) -> float:
    """Return the logarithm of the probability of counts in a clean kernel."""
    clean = counts.loads - counts.losses
    return float(counts.losses * np.log(GOOD_RATE) + clean * np.log1p(-GOOD_RATE))
