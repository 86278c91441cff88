"""Shifts of the first tick: its class, and its time."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from orchestrator.findings.outcome import Outcome
from orchestrator.journal.save_ticks import CLASSES, SaveTicks
from orchestrator.results.comparison.arm import ArmCell
from orchestrator.stats.permutation import compare_scores

#: The least shift of the mean time that counts, in periods.
LEAST_SHIFT = 0.15


class Shifted(StrEnum):
    """What may have shifted."""

    CLASS = "class"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True)
class Shift:
    """A shift of the first tick between two cells, and its test by whole saves."""

    kind: Shifted
    words: str
    big: bool
    """True if a shift of this size counts."""
    p: float
    """The exact two-sided p-value."""
    adjusted: float = 1.0
    """The same after Holm's correction."""

    def found(self, error: float) -> bool:
        """Return whether the shift is told at this error."""
        return self.big and self.adjusted <= error


def shifts(first: ArmCell, second: ArmCell) -> tuple[Shift, ...]:
    """Return the shifts of the first tick; none if a cell has no ticks, or the periods differ."""
    if not sum(first.ticks.ticks) or not sum(second.ticks.ticks):
        return ()
    if first.period_ns != second.period_ns:
        return ()
    found = [_class_shift(first.ticks, second.ticks), _latency_shift(first.ticks, second.ticks)]
    return tuple(each for each in found if each)


def with_adjusted(shift: Shift, adjusted: float) -> Shift:
    """Return a shift with its adjusted p-value."""
    return replace(shift, adjusted=adjusted)


def _class_shift(first: SaveTicks, second: SaveTicks) -> Shift | None:
    """Return the shift of the class. Each class that occurs is tested, as a share of them all."""
    totals = [[sum(counts) for counts in ticks.classes] for ticks in (first, second)]
    both = [a + b for a, b in zip(*totals, strict=True)]
    if not all(map(sum, totals)):
        return None
    occur = [place for place, count in enumerate(both) if count]
    # The shares of two classes are one number, so the test of one is that of the other.
    tested, tests = (occur[:1], 1) if len(occur) == 2 else (occur, len(occur))
    p = min(
        compare_scores(*(_scores(ticks, place, both) for ticks in (first, second))).both
        for place in tested
    )
    words = [_classes(Counter(dict(zip(CLASSES, each, strict=True)))) for each in totals]
    usual = [max(range(len(CLASSES)), key=each.__getitem__) for each in totals]
    changed = f"{words[0]}, then {words[1]}" if words[0] != words[1] else words[0]
    return Shift(Shifted.CLASS, changed, big=usual[0] != usual[1], p=min(1.0, p * tests))


def _scores(ticks: SaveTicks, place: int, both: Sequence[int]) -> list[int]:
    """Return the score of each save: its ticks of a class beyond the share of all ticks."""
    return [
        counts[place] * sum(both) - both[place] * sum(counts)
        for counts in zip(*ticks.classes, strict=True)
        if any(counts)
    ]


def _classes(counts: Counter[Outcome]) -> str:
    total = counts.total()
    return ", ".join(
        f"{outcome} {number / total:.0%}" for outcome, number in counts.most_common() if number
    )


def _latency_shift(first: SaveTicks, second: SaveTicks) -> Shift:
    sums = [(sum(each.periods), sum(each.ticks)) for each in (first, second)]
    means = [periods / ticks for periods, ticks in sums]
    mean = sum(periods for periods, _ in sums) / sum(ticks for _, ticks in sums)
    scores = [
        [
            periods - mean * ticks
            for periods, ticks in zip(each.periods, each.ticks, strict=True)
            if ticks
        ]
        for each in (first, second)
    ]
    shift = means[1] - means[0]
    return Shift(
        Shifted.LATENCY,
        f"{means[0]:.2f}, then {means[1]:.2f} periods in the mean",
        big=abs(shift) >= LEAST_SHIFT,
        p=compare_scores(*scores).both,
    )
