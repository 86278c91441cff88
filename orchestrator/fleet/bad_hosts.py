"""Hosts that lose more than the other hosts do under the same kernels."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.fleet.tested import Tested
from orchestrator.results.comparison.compare import TOLD
from orchestrator.stats.holm import holm
from orchestrator.stats.stratified import Stratum, compare_strata

#: Deviations from the other hosts below which a host is not tested. The test of a host so near
#: would seldom tell anything, and takes time. Its p-value is taken for 1, which blames nobody.
_NEAR = 2.5


@dataclass(frozen=True, slots=True)
class BadHost:
    """A host that loses more than the others."""

    host: str
    kernels: tuple[str, ...]
    """The kernels under which it tells so by itself."""
    of: tuple[str, ...]
    """The kernels that it and other hosts tested."""
    lost: int
    trials: int
    others_lost: int
    others_trials: int
    adjusted: float
    """The corrected p-value, over all kernels."""

    @property
    def under_all(self) -> bool:
        """True if it loses more under each of several kernels, so that no kernel is the cause."""
        return len(self.of) > 1 and self.kernels == self.of


def bad_hosts(tested: Iterable[Tested], kernels: Sequence[str]) -> tuple[BadHost, ...]:
    """Return the hosts that lose more than the others, the worst first.

    Whole saves are exchanged between a host and all others within each cell and kernel, so a bad
    kernel does not make a host bad. The tests of all hosts share the error.
    """
    groups: dict[tuple[str, str], dict[str, Tested]] = {}
    for each in tested:
        if not each.blind and each.saves:
            groups.setdefault((each.kernel, each.cell), {})[each.host] = each
    groups = {key: hosts for key, hosts in groups.items() if len(hosts) > 1}
    of_host: dict[str, list[tuple[str, str]]] = {}
    for key, hosts in groups.items():
        for name in hosts:
            of_host.setdefault(name, []).append(key)
    totals = {
        key: (sum(e.trials for e in hosts.values()), sum(e.lost for e in hosts.values()))
        for key, hosts in groups.items()
    }
    lost = {key: total for key, total in totals.items() if total[1]}
    p_values = [
        _against_others(name, keys, groups)
        if _far([(groups[key][name], lost[key]) for key in keys if key in lost])
        else 1.0
        for name, keys in of_host.items()
    ]
    found = []
    for (name, keys), p in zip(of_host.items(), holm(p_values), strict=True):
        if p <= TOLD:
            found.append(_named(name, keys, groups, totals, kernels, p))
    return tuple(sorted(found, key=lambda bad: (bad.adjusted, -bad.lost / bad.trials, bad.host)))


_Groups = dict[tuple[str, str], dict[str, Tested]]


def _far(counts: Iterable[tuple[Tested, tuple[int, int]]]) -> bool:
    """Return whether a host loses so much more than all hosts that a test is worth its time."""
    excess = variance = 0.0
    for own, (trials, lost) in counts:
        rate = lost / trials
        excess += own.lost - rate * own.trials
        variance += own.trials * rate * (1 - rate) * (1 - own.trials / trials)
    return excess > 0 and excess >= _NEAR * math.sqrt(variance)


def _against_others(name: str, keys: Iterable[tuple[str, str]], groups: _Groups) -> float:
    """Return the one-sided p-value of a host against all others."""
    return compare_strata(
        Stratum(
            [save for other, each in groups[key].items() if other != name for save in each.saves],
            groups[key][name].saves,
        )
        for key in keys
    ).more


def _named(
    name: str,
    keys: Sequence[tuple[str, str]],
    groups: _Groups,
    totals: dict[tuple[str, str], tuple[int, int]],
    kernels: Sequence[str],
    adjusted: float,
) -> BadHost:
    both = [each for each in kernels if any(key[0] == each for key in keys)]
    told = [
        each
        for each in both
        if _against_others(name, [key for key in keys if key[0] == each], groups)
        <= TOLD / len(both)
    ]
    own = [groups[key][name] for key in keys]
    trials, lost = sum(each.trials for each in own), sum(each.lost for each in own)
    return BadHost(
        name,
        tuple(told),
        tuple(both),
        lost,
        trials,
        sum(totals[key][1] for key in keys) - lost,
        sum(totals[key][0] for key in keys) - trials,
        adjusted,
    )
