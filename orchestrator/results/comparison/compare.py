"""Compares runs: equal cells side by side, and an answer for each."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from orchestrator.results.comparison.arm import Arm, ArmCell
from orchestrator.results.comparison.hosts import Differing, differing
from orchestrator.results.comparison.shifts import Shift, Shifted, shifts, with_adjusted
from orchestrator.stats.difference import Difference, Interval, difference, loads_to_tell
from orchestrator.stats.holm import holm
from orchestrator.stats.permutation import Tails, can_differ, compare_rates, fewest_saves
from orchestrator.stats.rate import LossRate, rate_over_loads, rate_over_saves

#: The error that all answers `worse` and `better` of a comparison share; also that of each end of
#: an interval, and of `same` in a cell.
ERROR = 0.05


#: The adjusted p-value up to which an answer is told. The p-values are exact for a number of saves
#: that was fixed beforehand. A campaign ends by its loads or its losses, so its number of saves is
#: not, and simulated errors are up to a fifth more frequent than the p-values say.
TOLD = 0.8 * ERROR

#: Runs that are called by a letter.
MOST_LETTERS = 26


class Answer(StrEnum):
    """How the second of two cells stands to the first."""

    WORSE = "worse"
    BETTER = "better"
    SAME = "same"
    CANT_TELL = "can't tell"


@dataclass(frozen=True, slots=True)
class CellComparison:
    """Two equal cells."""

    first: ArmCell
    second: ArmCell
    rates: tuple[LossRate, LossRate]
    """The loss rates over loads."""
    over_loads: Difference
    """The difference of the rates. It holds if losses do not depend on the save."""
    over_saves: Difference | None
    """The difference of the rates of first loads, which holds in any case; None if no first load
    of a cell has a known outcome."""
    tails: Tails
    """The exact p-values of the permutation of whole saves."""
    margin: float
    """The difference that does not matter."""
    shifts: tuple[Shift, ...] = ()
    adjusted: float = 1.0
    """The p-value after Holm's correction."""
    level: float = TOLD
    """The p-value that would have been enough whatever the other cells say."""
    answer: Answer = Answer.CANT_TELL
    loads_wanted: int | None = None
    """Loads that a run would need to tell; None if it told, or if no number would do."""

    @property
    def p(self) -> float:
        """The two-sided p-value."""
        return self.tails.both

    @property
    def name(self) -> str:
        """What the cells have in common; their id if that is the same."""
        return self.first.id if self.first.id == self.second.id else self.first.like

    @property
    def blind(self) -> bool:
        """True if one of the runs might have missed losses: then nothing can be told."""
        return bool(self.first.blind or self.second.blind)

    @property
    def more_loads(self) -> int | None:
        """Loads that the run with fewer loads would need beside those it has."""
        if self.loads_wanted is None:
            return None
        return self.loads_wanted - min(self.first.losses.trials, self.second.losses.trials)

    @property
    def saves_wanted(self) -> int | None:
        """Saves that each run needs to differ at all; None if there are enough."""
        a, b = len(self.first.saves), len(self.second.saves)
        return None if can_differ(a, b, self.level) else fewest_saves(self.level)


@dataclass(frozen=True, slots=True)
class Pair:
    """A run, compared with the first one."""

    letter: str
    """How outputs call the run; the first one is A."""
    arm: Arm
    cells: tuple[CellComparison, ...]
    left_out: tuple[tuple[str, str], ...]
    """The cells that were not compared, and why."""
    hosts: Differing


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs, compared with the first of them."""

    first: Arm
    pairs: tuple[Pair, ...]
    tests: int
    """The tests that share the error."""
    judged: frozenset[Shifted]
    """The shifts of the first tick that are among these tests."""

    @property
    def cells(self) -> list[CellComparison]:
        """The compared cells of all pairs."""
        return [cell for pair in self.pairs for cell in pair.cells]


def compare(
    arms: Sequence[Arm], *, margin: float | None = None, judged: Collection[Shifted] = ()
) -> Comparison:
    """Return how runs stand to the first of them.

    Args:
        arms: two or more runs.
        margin: the difference of loss rates that does not matter; by default twice the rate that
            the plans want ruled out, the smaller if they differ.
        judged: the shifts of the first tick whose tests share the error of the answers.
    """
    first, *others = arms
    letters = [letter(number) for number in range(1, len(arms))]
    matched = [_match(first, other, name) for other, name in zip(others, letters, strict=True)]
    pairs = [[_measured(a, b, margin) for a, b in found] for found, _ in matched]
    cells = [cell for pair in pairs for cell in pair]
    tests = [cell.p for cell in cells if not cell.blind]
    inside = [s.p for cell in cells for s in cell.shifts if s.kind in judged]
    beside = [s.p for cell in cells for s in cell.shifts if s.kind not in judged]
    number = len(tests) + len(inside)
    adjusted, adjusted_beside = iter(holm(tests + inside)), iter(holm(beside))
    answered = iter(
        [
            _answered(cell, 1.0 if cell.blind else next(adjusted), TOLD / max(number, 1))
            for cell in cells
        ]
    )
    done = []
    for pair in pairs:
        found = []
        for _ in pair:
            cell = next(answered)
            shifted = tuple(
                with_adjusted(s, next(adjusted if s.kind in judged else adjusted_beside))
                for s in cell.shifts
            )
            found.append(replace(cell, shifts=shifted))
        done.append(found)
    return Comparison(
        first,
        tuple(
            Pair(name, other, tuple(cells), left, differing([(c.first, c.second) for c in cells]))
            for name, other, cells, (_, left) in zip(letters, others, done, matched, strict=True)
        ),
        number,
        frozenset(judged),
    )


def letter(number: int) -> str:
    """Return how outputs call a run: A for the first one, whose number is 0."""
    return chr(ord("A") + number) if number < MOST_LETTERS else f"R{number + 1}"


_Left = tuple[tuple[str, str], ...]


def _match(first: Arm, second: Arm, name: str) -> tuple[list[tuple[ArmCell, ArmCell]], _Left]:
    """Return the equal cells of two runs, and the others with the reason.

    Cells are equal if they differ in nothing but their lab or their QEMU. If a run has several
    such cells, their whole ids must be equal.
    """
    often = [Counter(cell.like for cell in arm.cells) for arm in (first, second)]

    def key(cell: ArmCell) -> str:
        return cell.like if all(each[cell.like] <= 1 for each in often) else cell.id

    of_second = {key(cell): cell for cell in second.cells}
    pairs, left = [], []
    for cell in first.cells:
        if (other := of_second.pop(key(cell), None)) is not None:
            pairs.append((cell, other))
        else:
            why = second.untested.get(cell.like)
            left.append((cell.id, f"not tested in {name} ({why})" if why else "only in A"))
    for cell in of_second.values():
        why = first.untested.get(cell.like)
        left.append((cell.id, f"not tested in A ({why})" if why else f"only in {name}"))
    both = first.untested.keys() & second.untested.keys()
    left += [(each, f"not tested in both ({first.untested[each]})") for each in sorted(both)]
    return pairs, tuple(left)


def _measured(first: ArmCell, second: ArmCell, margin: float | None) -> CellComparison:
    """Return two cells with their rates and p-values; the answer is still open."""
    rates = [rate_over_loads(cell.losses, 1 - ERROR) for cell in (first, second)]
    of_saves = [rate_over_saves(cell.losses.by_save, 1 - ERROR) for cell in (first, second)]
    saves = [Interval(each.estimate, each.low, each.high) for each in of_saves if each]
    loads = [Interval(each.estimate or 0.0, each.low, each.high) for each in rates]
    return CellComparison(
        first,
        second,
        (rates[0], rates[1]),
        difference(*loads),
        difference(*saves) if len(saves) == len(of_saves) else None,
        compare_rates(first.saves, second.saves),
        2 * min(first.rule_out, second.rule_out) if margin is None else margin,
        shifts(first, second),
    )


def _answered(cell: CellComparison, adjusted: float, level: float) -> CellComparison:
    """Return two cells with their answer."""
    found = replace(cell, adjusted=adjusted, level=level)
    if cell.blind:
        return found
    if adjusted <= TOLD:
        worse = cell.tails.more < cell.tails.less
        return replace(found, answer=Answer.WORSE if worse else Answer.BETTER)
    if cell.over_loads.within <= cell.margin:
        return replace(found, answer=Answer.SAME)
    return replace(found, loads_wanted=_loads_wanted(found))


def _loads_wanted(cell: CellComparison) -> int | None:
    """Return how many loads each run would need, if the rates are as they were seen."""
    a, b = (rate.estimate or 0.0 for rate in cell.rates)
    wanted = loads_to_tell(a, b, margin=cell.margin, level=cell.level, confidence=1 - ERROR)
    if wanted is None:
        return None
    least = min(cell.first.losses.trials, cell.second.losses.trials)
    loads_per_save = cell.first.losses.by_save.loads_per_save
    if wanted <= least:  # losses depend on the save, so loads tell less than they seem to
        wanted = 2 * least
    return max(wanted, (cell.saves_wanted or 0) * loads_per_save)
