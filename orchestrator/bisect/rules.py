"""The question of a bisection, and how sure its answer must be."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


#: The lowest loss rate that counts, and the probability of an answer, unless others are asked for.
DEFAULT_MIN_RATE, DEFAULT_CONFIDENCE = 0.01, 0.95


class Find(StrEnum):
    """The candidate to find."""

    BREAK = "break"
    """The first one that loses."""
    FIX = "fix"
    """The first one that no longer loses."""


#: Loss rate of a kernel without the bug: the harness itself may err.
GOOD_RATE = 1e-6

#: Prior probability that one losing kernel has a loss rate of its own, not the shared one.
ODD_ONE = 0.01

#: Prior probabilities that neither end loses, and that both do.
NEVER, ALWAYS = 0.2, 0.1

#: Prior probability of the highest loss rate; a bug of plain logic strikes at every load.
EVERY_TIME = 0.1

#: Prior probability of a rate is in proportion to this power of it, on a logarithmic scale.
HIGHER = 1.0

_RATES = 28


@dataclass(frozen=True, slots=True)
class Rules:
    """What is to be found, and how sure the answer must be."""

    find: Find = Find.BREAK
    min_rate: float = DEFAULT_MIN_RATE
    """The lowest loss rate that counts, in losses per load."""
    confidence: float = DEFAULT_CONFIDENCE
    """The lowest probability with which an answer is given."""
    parent_rate: float | None = None
    """A loss rate that is ruled out for the clean side at the end."""

    def numbers(self) -> npt.NDArray[np.int64]:
        """Return the numbers of loads that a test may have."""
        most = max(1000.0, 5 / self.min_rate)
        return np.unique(np.round(np.geomspace(1, most, 60)).astype(np.int64))

    def rates(self) -> tuple[Floats, Floats]:
        """Return the loss rates that a losing kernel may have, and their prior probabilities."""
        rates = np.geomspace(self.min_rate, 0.999, _RATES)
        prior = rates**HIGHER
        prior *= (1 - EVERY_TIME) / prior.sum()
        prior[-1] += EVERY_TIME
        return rates, prior
