"""The answer of a fleet: each kernel against the first one, cell by cell, within hosts.

A kernel is blamed for what it loses beyond the first kernel on the same host, so a host that
loses under every kernel blames none; `bad_hosts.py` names such hosts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from orchestrator.fleet.bad_hosts import BadHost, bad_hosts
from orchestrator.fleet.effect import (
    TOLD,
    Both,
    Effect,
    can_tell,
    effect,
    foremost,
    own_tails,
    unequal,
)
from orchestrator.fleet.tested import Tested
from orchestrator.results.comparison.compare import ERROR, Answer
from orchestrator.stats.difference import loads_to_tell
from orchestrator.stats.holm import holm
from orchestrator.stats.permutation import Tails
from orchestrator.stats.stratified import can_differ


class Where(StrEnum):
    """The hosts on which a kernel is worse or better."""

    ALL = "all hosts"
    """It is seen without any single host, too, and hosts are not seen to differ in it."""
    NAMED = "named hosts"
    """Hosts that tell it by themselves."""
    UNTOLD = "some host"
    """The hosts together tell it, and which of them it is can't be told."""


@dataclass(frozen=True, slots=True)
class CellAnswer:
    """A kernel, compared with the first one in a cell."""

    cell: str
    first: str
    """The first kernel."""
    second: str
    hosts: Mapping[str, Both]
    """The hosts that are compared."""
    left_out: Mapping[str, str]
    """The reasons why the other hosts are not."""
    margin: float
    """The difference of loss rates that does not matter."""
    whole: Effect | None = None
    """The effect on all hosts together; None if no host can be compared."""
    adjusted: float = 1.0
    """The p-value of all hosts together, corrected for all tests of the fleet."""
    level: float = TOLD
    """The p-value that would have been enough whatever the other tests say."""
    answer: Answer = Answer.CANT_TELL
    where: Where | None = None
    """The hosts on which it is worse or better; None if it is neither."""
    worse_on: tuple[str, ...] = ()
    """Hosts that tell by themselves that it is worse."""
    better_on: tuple[str, ...] = ()
    own: Mapping[str, float] | None = None
    """The corrected p-value of each host by itself, if that may be small."""
    elsewhere: Answer | None = None
    """The effect on the hosts that are not named; None if there are none, or none is named."""
    within_elsewhere: float | None = None
    """The margin within which the rates on those hosts are the same."""
    differ: float = 1.0
    """The p-value of the test whether its effect differs from host to host."""
    loads_wanted: int | None = None
    """Loads that each kernel would need, on all hosts together, to tell."""

    @property
    def loads(self) -> tuple[int, int]:
        """The loads of the compared hosts under both kernels."""
        first, second = zip(*self.hosts.values(), strict=True) if self.hosts else ((), ())
        return sum(each.trials for each in first), sum(each.trials for each in second)

    @property
    def lost(self) -> tuple[int, int]:
        """The losses of the compared hosts under both kernels."""
        first, second = zip(*self.hosts.values(), strict=True) if self.hosts else ((), ())
        return sum(each.lost for each in first), sum(each.lost for each in second)

    @property
    def more_loads(self) -> int | None:
        """Loads that the kernel with fewer loads would need beside those it has."""
        return None if self.loads_wanted is None else self.loads_wanted - min(self.loads)

    @property
    def too_few_saves(self) -> bool:
        """True if no result of so few saves could be told."""
        sizes = [(len(a.saves), len(b.saves)) for a, b in self.hosts.values()]
        return not can_differ(sizes, self.level)


@dataclass(frozen=True, slots=True)
class FleetAnswer:
    """The answer that all runs of a fleet give together."""

    kernels: tuple[str, ...]
    """The first one is the one that the others are compared with."""
    cells: tuple[CellAnswer, ...]
    """For each other kernel each cell."""
    bad: tuple[BadHost, ...]
    """Hosts that lose more than the others under the same kernels."""
    tests: int
    """The tests of kernels that share the error."""


def answer(tested: Iterable[Tested], kernels: Sequence[str]) -> FleetAnswer:
    """Return how each kernel stands to the first one, in each cell, and which hosts are bad.

    Args:
        tested: what hosts tested, at most once for each host, kernel and cell.
        kernels: their names; the first one is compared with.
    """
    everything = list(tested)
    cells, tests = against_first(everything, kernels)
    return FleetAnswer(tuple(kernels), cells, bad_hosts(everything, kernels), tests)


def against_first(
    tested: Iterable[Tested], kernels: Sequence[str]
) -> tuple[tuple[CellAnswer, ...], int]:
    """Return how each kernel stands to the first one, and the number of tests."""
    by_cell: dict[str, dict[str, dict[str, Tested]]] = {}
    for each in tested:
        by_cell.setdefault(each.cell, {}).setdefault(each.kernel, {})[each.host] = each
    return _answered(
        [
            _matched(cell, kernels[0], second, found)
            for second in kernels[1:]
            for cell, found in by_cell.items()
        ]
    )


def _matched(
    cell: str, first: str, second: str, found: Mapping[str, Mapping[str, Tested]]
) -> CellAnswer:
    """Return a cell with the hosts that can be compared; the answer is still open."""
    one, other = found.get(first, {}), found.get(second, {})
    hosts, left = {}, {}
    for name in dict.fromkeys([*one, *other]):
        a, b = one.get(name), other.get(name)
        if a is None or b is None:
            left[name] = f"tested with {second if a is None else first} only"
        elif why := "; ".join(f"with {x.kernel} {x.blind}" for x in (a, b) if x.blind):
            left[name] = f"losses may have been missed ({why})"
        elif not a.saves or not b.saves:
            left[name] = "no load has a known outcome"
        else:
            hosts[name] = (a, b)
    margin = 2 * min((x.rule_out for both in hosts.values() for x in both), default=0.0)
    whole = effect(list(hosts.values())) if hosts else None
    return CellAnswer(cell, first, second, hosts, left, margin, whole)


def _answered(cells: Sequence[CellAnswer]) -> tuple[tuple[CellAnswer, ...], int]:
    """Return cells with their answers, and the number of tests.

    Half of the error is for the tests of all hosts together, and half for those of single hosts,
    if there are both.
    """
    together = [place for place, cell in enumerate(cells) if cell.hosts]
    alone = [
        (place, name)
        for place in together
        if len(cells[place].hosts) > 1
        for name, both in cells[place].hosts.items()
        if can_tell(both)
    ]
    parts = 2 if alone else 1
    whole = [effect_.tails.both for place in together if (effect_ := cells[place].whole)]
    adjusted = [min(1.0, parts * p) for p in holm(whole)]
    tails = [own_tails(cells[place].hosts[name]) for place, name in alone]
    by_cell: dict[int, dict[str, tuple[Tails, float]]] = {}
    for (place, name), found, p in zip(alone, tails, holm([t.both for t in tails]), strict=True):
        by_cell.setdefault(place, {})[name] = (found, min(1.0, parts * p))
    level = TOLD / parts / max(len(together), 1)
    done = list(cells)
    for place, p in zip(together, adjusted, strict=True):
        done[place] = _of_cell(cells[place], p, level, by_cell.get(place, {}))
    return tuple(done), len(together) + len(alone)


def _of_cell(
    cell: CellAnswer, adjusted: float, level: float, own: Mapping[str, tuple[Tails, float]]
) -> CellAnswer:
    whole = cell.whole
    assert whole is not None
    told = {name: tails.more < tails.less for name, (tails, p) in own.items() if p <= TOLD}
    worse = tuple(name for name, is_worse in told.items() if is_worse)
    better = tuple(name for name, is_worse in told.items() if not is_worse)
    found = replace(
        cell, adjusted=adjusted, level=level, worse_on=worse, better_on=better,
        own={name: p for name, (_, p) in own.items()},
    )  # fmt: skip
    both = list(cell.hosts.values())
    if adjusted <= TOLD:
        found = replace(found, differ=unequal(both))
        against = better if whole.worse else worse
        all_told = len(worse if whole.worse else better) == len(both) > 1
        alike = found.differ > ERROR and not against and _without_one(found, whole, level)
        if len(both) == 1 or alike or all_told:
            return replace(found, answer=_direction(whole), where=Where.ALL)
    if told:
        rest = [each for name, each in cell.hosts.items() if name not in told]
        elsewhere, within = _rest(rest, level, cell.margin)
        return replace(
            found, answer=Answer.WORSE if worse else Answer.BETTER, where=Where.NAMED,
            elsewhere=elsewhere, within_elsewhere=within,
        )  # fmt: skip
    if adjusted <= TOLD:
        return replace(found, answer=_direction(whole), where=Where.UNTOLD)
    if whole.over_loads.within <= cell.margin:
        return replace(found, answer=Answer.SAME)
    return replace(found, loads_wanted=_loads_wanted(found, whole))


def _direction(whole: Effect) -> Answer:
    return Answer.WORSE if whole.worse else Answer.BETTER


def _without_one(cell: CellAnswer, whole: Effect, level: float) -> bool:
    """Return whether the hosts tell the same without the one that has the greatest part in it."""
    name = foremost(cell.hosts, worse=whole.worse)
    rest = effect([both for host, both in cell.hosts.items() if host != name])
    return rest.worse is whole.worse and rest.tails.both <= level


def _rest(
    rest: Sequence[Both], level: float, margin: float
) -> tuple[Answer | None, float | None]:  # fmt: skip
    """Return how a kernel stands on the hosts that are not named, and within which margin."""
    if not rest:
        return None, None
    found = effect(rest)
    if found.tails.both <= level:
        return _direction(found), found.over_loads.within
    same = found.over_loads.within <= margin
    return Answer.SAME if same else Answer.CANT_TELL, found.over_loads.within


def _loads_wanted(cell: CellAnswer, whole: Effect) -> int | None:
    """Return how many loads each kernel would need, if the rates are as they were seen."""
    a, b = whole.rates
    wanted = loads_to_tell(a, b, margin=cell.margin, level=cell.level, confidence=1 - ERROR)
    if wanted is None:
        return None
    least = min(cell.loads)
    # Losses depend on the save, or the saves are too few, so loads tell less than they seem to.
    return wanted if wanted > least else 2 * least
