"""Change points of a rate in a series of counts, such as (losses, loads) of each night.

Of each segment between changes, all loads share one rate, whose prior is Beta(1/2, 1/2). The
evidence for a change is the probability of the counts with one change, averaged over all nights
at which it may have been, over their probability without a change. Without a change, this ratio is
a martingale under the prior: that it ever exceeds 1 / error, however often it is read, has a
probability of at most `error` (Ville's inequality).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: Probability that a change comes in the next night, before anything is known. It decides how
#: much later nights count, and not the error.
_HAZARD = 1 / 1000

#: Share of the posterior that the credible range of a change contains.
CREDIBLE = 0.95


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a rate between two nights."""

    at: int
    """The first night with the new rate, by its place in the series."""
    first: int
    last: int
    """The credible range of `at`, both ends included."""
    before: tuple[int, int]
    after: tuple[int, int]
    """The losses and loads of the segments on both sides."""
    evidence: float
    """The logarithm of the ratio."""

    @property
    def rates(self) -> tuple[float, float]:
        """The rates on both sides."""
        return self.before[0] / max(self.before[1], 1), self.after[0] / max(self.after[1], 1)


def changes(lost: Sequence[int], loads: Sequence[int], error: float) -> list[Change]:
    """Return the changes of a rate, in their order.

    Args:
        lost: losses of each night.
        loads: loads of each night.
        error: probability that a series without a change ever shows one.
    """
    import numpy as np

    counts = np.array(lost, dtype=float), np.array(loads, dtype=float)
    return _refined(_split(counts, 0, len(lost), error), counts)


def evidence(lost: Sequence[int], loads: Sequence[int]) -> float:
    """Return the logarithm of the evidence for a change somewhere in a series."""
    import numpy as np

    found = _ratios(np.array(lost, dtype=float), np.array(loads, dtype=float))
    return float(np.logaddexp.reduce(found)) if len(found) else -np.inf


_Counts = tuple["npt.NDArray[np.float64]", "npt.NDArray[np.float64]"]


def _ratios(
    lost: "npt.NDArray[np.float64]", loads: "npt.NDArray[np.float64]"
) -> "npt.NDArray[np.float64]":
    """Return the logarithm of prior and likelihood ratio of a change at each night but the first.

    With neither losses nor anything but losses, no change is more probable than none.
    """
    import numpy as np
    from scipy.special import betaln

    nights = len(lost)
    if nights < 2 or not 0 < lost.sum() < loads.sum():
        return np.empty(0)
    k, n = np.cumsum(lost), np.cumsum(loads)

    def marginal(k: Any, n: Any) -> Any:
        return betaln(k + 0.5, n - k + 0.5) - betaln(0.5, 0.5)

    both = marginal(k[:-1], n[:-1]) + marginal(k[-1] - k[:-1], n[-1] - n[:-1])
    prior = np.log(_HAZARD) + np.arange(nights - 1) * np.log1p(-_HAZARD)
    found: npt.NDArray[np.float64] = both + prior - marginal(k[-1], n[-1])
    return found


def _split(counts: _Counts, begin: int, end: int, error: float) -> list[int]:
    """Return the nights at which the nights from `begin` to `end` are to be parted."""
    import numpy as np

    ratios = _ratios(counts[0][begin:end], counts[1][begin:end])
    if not len(ratios) or np.logaddexp.reduce(ratios) < -np.log(error):
        return []
    at = begin + 1 + int(np.argmax(ratios))
    return [*_split(counts, begin, at, error), at, *_split(counts, at, end, error)]


def _refined(places: Sequence[int], counts: _Counts) -> list[Change]:
    """Return changes with their ranges, each between the changes beside it."""
    import numpy as np

    found = []
    ends = [0, *places, len(counts[0])]
    for begin, end in zip(ends, ends[2:], strict=False):
        lost, loads = (each[begin:end] for each in counts)
        ratios = _ratios(lost, loads)
        total = float(np.logaddexp.reduce(ratios))
        posterior = np.exp(ratios - total)
        at = int(np.argmax(posterior)) + 1
        order = np.argsort(-posterior)
        needed = int(np.searchsorted(np.cumsum(posterior[order]), CREDIBLE)) + 1
        inside = order[:needed] + 1
        sides = [
            (int(lost[part].sum()), int(loads[part].sum())) for part in (slice(at), slice(at, None))
        ]
        found.append(
            Change(
                begin + at, begin + int(inside.min()), begin + int(inside.max()), sides[0],
                sides[1], total,
            )
        )  # fmt: skip
    return found
