"""A comparison in words: the same in every output."""

from collections import Counter
from collections.abc import Iterator

from orchestrator.findings.outcome import CAME, STOPPED, TICKED, Outcome
from orchestrator.results.comparison.arm import Arm, ArmCell
from orchestrator.results.comparison.compare import (
    ERROR,
    TOLD,
    Answer,
    CellComparison,
    Comparison,
    Pair,
)
from orchestrator.results.outputs.html.numbers import percent
from orchestrator.stats.difference import MOST_LOADS, Difference
from orchestrator.stats.rate import LossRate


def rate(cell: ArmCell, found: LossRate) -> str:
    """Return what was lost in a cell, and the loss rate."""
    lost = f"{cell.losses.lost:,} of {cell.losses.trials:,}"
    if not cell.losses.lost:
        return f"{lost} (< {percent(found.high)})"
    return f"{lost} ({percent(found.low)} to {percent(found.high)})"


def interval(found: Difference) -> str:
    """Return a difference of rates, and its interval, in percentage points."""
    return f"{_signed(found.estimate)} ({_signed(found.low)} to {_signed(found.high)})"


def _signed(share: float) -> str:
    if not share:
        return "0"
    return ("+" if share > 0 else "-") + percent(abs(share))


def cell_sentence(cell: CellComparison, pair: Pair) -> str:
    """Return the reason for the answer of a cell."""
    letter = pair.letter
    if cell.blind:
        whys = (
            f"{name}: {each.blind}"
            for name, each in (("A", cell.first), (letter, cell.second))
            if each.blind
        )
        return f"Losses may have been missed ({'; '.join(whys)}), so nothing can be told."
    match cell.answer:
        case Answer.WORSE | Answer.BETTER:
            more = "more" if cell.answer is Answer.WORSE else "less"
            return (
                f"{letter} loses {more} than A: the rates differ by {interval(cell.over_loads)}, "
                f"p = {cell.adjusted:.2g} after Holm's correction. {_supported(cell)}"
            )
        case Answer.SAME:
            return f"{_supported(cell)} The margin is {percent(cell.margin)}."
    return f"{_supported(cell)} The margin is {percent(cell.margin)}. {_wanted(cell, letter)}"


def answer(cell: CellComparison) -> str:
    """Return the answer of a cell, in a few words."""
    match cell.answer:
        case Answer.SAME:
            return f"same within {percent(cell.over_loads.within)}"
        case Answer.CANT_TELL if cell.more_loads is not None:
            return f"can't tell: {cell.more_loads:,} more loads would"
    return str(cell.answer)


def _supported(cell: CellComparison) -> str:
    """Return the smallest margins that the data support."""
    loads, saves = cell.over_loads.within, cell.over_saves
    said = f"The rates differ by at most {percent(loads)}"
    if saves is None or abs(saves.within - loads) < 1e-9:
        return f"{said}."
    return f"{said}, or by at most {percent(saves.within)} if losses depend on the save."


def _wanted(cell: CellComparison, letter: str) -> str:
    if cell.loads_wanted is None:
        return f"Even {MOST_LOADS:,} loads would not tell."
    needs = [
        f"{cell.loads_wanted - each.losses.trials:,} more in {name}"
        for name, each in (("A", cell.first), (letter, cell.second))
        if each.losses.trials < cell.loads_wanted
    ]
    few = cell.saves_wanted
    saves = (
        f" At least {few} saves a run are needed, because p can't be at most {cell.level:.2g} with "
        f"the {len(cell.first.saves)} and {len(cell.second.saves)} here."
        if few
        else ""
    )
    return (
        f"{cell.loads_wanted:,} loads in each run would tell, if the rates are as they were seen: "
        f"{' and '.join(needs)}.{saves}"
    )


def cell_notes(cell: CellComparison, pair: Pair) -> Iterator[str]:
    """Yield what else must be known of a cell."""
    a, b = cell.first, cell.second
    if a.period_ns != b.period_ns:
        yield (
            f"The timer periods are {_ms(a.period_ns)} in A and {_ms(b.period_ns)} in "
            f"{pair.letter}, so only the loss rates are compared."
        )
    for shift in cell.shifts:
        if shift.found(TOLD):
            yield (
                f"The {shift.kind} of the first tick shifted: {shift.words} "
                f"(p = {shift.adjusted:.2g})."
            )
    for name, each in (("A", a), (pair.letter, b)):
        if odd := _odd(each.outcomes):
            yield f"In {name}, other loads went wrong, too: {odd}."


def _ms(period_ns: int | None) -> str:
    return "not known" if period_ns is None else f"{period_ns / 1e6:.10g} ms"


def _odd(outcomes: Counter[Outcome]) -> str:
    kinds = (CAME | STOPPED) - TICKED - {Outcome.LOST}
    return ", ".join(f"{n:,} {kind}" for kind, n in outcomes.most_common() if kind in kinds and n)


def arm_notes(letter: str, arm: Arm) -> Iterator[str]:
    """Yield what else must be known of a run."""
    if arm.unfinished:
        yield (
            f"{letter} has not ended ({arm.unfinished}). The stated errors hold for a run that is "
            "compared once."
        )


def statement(found: Comparison) -> str:
    """Return the errors that the answers may have."""
    tests = "1 test" if found.tests == 1 else f"{found.tests} tests"
    return (
        f"A wrong `worse` or `better` anywhere has a probability of at most {ERROR:.0%} "
        f"({tests}, Holm's correction), and a wrong `same` of at most {ERROR:.0%} for each cell."
    )


def headline(pair: Pair) -> str:
    """Return how many cells have which answer."""
    if not pair.cells:
        return f"{pair.letter} has no cell that can be compared with A."
    counts = Counter(cell.answer for cell in pair.cells)
    total = len(pair.cells)
    said = ", ".join(f"{counts[each]} {each}" for each in Answer if counts[each])
    return f"{pair.letter} against A: {said}, of {total} cell{'s' if total > 1 else ''}."
