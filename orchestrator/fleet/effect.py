"""The effect of a kernel within hosts: on all of them together, and on each by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.fleet.tested import Tested
from orchestrator.results.comparison.compare import ERROR
from orchestrator.stats.difference import Difference, difference
from orchestrator.stats.permutation import EQUAL, Tails, can_differ, compare_rates
from orchestrator.stats.stratified import (
    Stratum,
    common_weights,
    compare_strata,
    standardized,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    _Floats = npt.NDArray[np.float64]

#: The adjusted p-value up to which an answer about kernels is told. The p-values are exact for
#: numbers of saves that were fixed beforehand. A run ends by its loads or its losses, so its number
#: of saves is not; in simulated fleets errors are up to a third more frequent than they say.
TOLD = 0.6 * ERROR

#: A host's results under the first and under the second kernel.
Both = tuple[Tested, Tested]


@dataclass(frozen=True, slots=True)
class Effect:
    """The second kernel, compared with the first on some hosts."""

    tails: Tails
    """The exact p-values of the permutation of whole saves within hosts."""
    over_loads: Difference
    """The difference of the loss rates in the mean of the hosts. It holds if losses do not depend
    on the save."""
    over_saves: Difference
    """The difference of the rates of first loads, which holds in any case."""
    rates: tuple[float, float]
    """The loss rates in the mean of the hosts."""

    @property
    def worse(self) -> bool:
        """True if the second kernel loses more, as far as the losses tell."""
        return self.tails.more < self.tails.less


def effect(hosts: Sequence[Both]) -> Effect:
    """Return the effect of a kernel on hosts that tested both kernels, at least one of them."""
    loads = [[_of_loads(each) for each in side] for side in zip(*hosts, strict=True)]
    firsts = [[(*each.firsts, 0) for each in side] for side in zip(*hosts, strict=True)]
    over_loads, rates = _differ(loads[0], loads[1])
    over_saves, _ = _differ(firsts[0], firsts[1])
    tails = compare_strata(stratum(each) for each in hosts)
    return Effect(tails, over_loads, over_saves, rates)


def stratum(both: Both) -> Stratum:
    """Return the saves of a host under both kernels."""
    return Stratum(both[0].saves, both[1].saves)


def own_tails(both: Both) -> Tails:
    """Return the exact p-values of a host by itself."""
    return compare_rates(both[0].saves, both[1].saves) if stratum(both).telling else EQUAL


def can_tell(both: Both) -> bool:
    """Return whether a host has so many saves that it could tell something by itself."""
    return can_differ(len(both[0].saves), len(both[1].saves), TOLD)


def foremost(hosts: Mapping[str, Both], *, worse: bool) -> str:
    """Return the host that has the greatest part in a kernel's losing more, or less."""
    sign = 1 if worse else -1
    return max(hosts, key=lambda name: sign * stratum(hosts[name]).excess)


#: Draws of the test whether hosts differ. With what was observed they are 1,000.
_DRAWS = 999


def unequal(hosts: Sequence[Both]) -> float:
    """Return the p-value of the test whether a kernel's effect differs from host to host.

    If the second kernel loses t times as often as the first on every host, each loss of a host
    falls upon the second kernel with a chance that depends on t and on the host's loads alone. So
    the losses of each host are drawn between the kernels at the t that fits all hosts, and the
    scatter over the hosts is compared with the observed one. A draw fits its own t. The seed is
    fixed, so that the same runs always give the same answer.
    """
    import numpy as np  # slow to import

    counted = [(a.trials, a.lost, b.trials, b.lost) for a, b in hosts if a.lost + b.lost]
    if len(counted) < 2:
        return 1.0
    loads_a, lost_a, loads_b, lost_b = np.array(counted, dtype=float).T
    lost, ratio = lost_a + lost_b, loads_b / loads_a
    share = _fitted(lost, ratio, lost_b[None, :])[0]
    random = np.random.default_rng(len(counted))
    drawn = random.binomial(lost.astype(int), share, size=(_DRAWS, len(counted))).astype(float)
    (seen,) = _scatter(lost, ratio, lost_b[None, :])
    as_far = int((_scatter(lost, ratio, drawn) >= seen - 1e-9).sum())
    return (1 + as_far) / (1 + _DRAWS)


def _scatter(lost: "_Floats", ratio: "_Floats", of_second: "_Floats") -> "_Floats":
    """Return how far the second kernel's losses are from the fit, for each row of losses."""
    import numpy as np

    share = _fitted(lost, ratio, of_second)
    variance = np.maximum(lost * share * (1 - share), 1e-9)
    found: _Floats = ((of_second - lost * share) ** 2 / variance).sum(axis=1)
    return found


def _fitted(lost: "_Floats", ratio: "_Floats", of_second: "_Floats") -> "_Floats":
    """Return the second kernel's share of each host's losses, fitted to each row of losses."""
    import numpy as np

    whole = of_second.sum(axis=1)
    low, high = np.full(len(whole), -30.0), np.full(len(whole), 30.0)
    share = np.empty_like(of_second)
    for _ in range(50):
        middle = (low + high) / 2
        odds = np.exp(middle)[:, None] * ratio
        share = odds / (1 + odds)
        few = (lost * share).sum(axis=1) < whole
        low, high = np.where(few, middle, low), np.where(few, high, middle)
    return share


def _of_loads(each: Tested) -> tuple[int, int, int]:
    return each.trials, each.lost, each.unresolved


def _differ(
    first: Sequence[tuple[int, int, int]], second: Sequence[tuple[int, int, int]]
) -> tuple[Difference, tuple[float, float]]:
    weights = common_weights([(a[0], b[0]) for a, b in zip(first, second, strict=True)])
    ends = [standardized(side, weights, 1 - ERROR) for side in (first, second)]
    return difference(*ends), (ends[0].estimate, ends[1].estimate)
