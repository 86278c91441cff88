"""The page of a comparison. What it needs is in the extra `report`."""

from dataclasses import dataclass

from orchestrator.results.comparison.compare import Answer, CellComparison, Comparison, Pair
from orchestrator.results.comparison.words import (
    answer,
    arm_notes,
    cell_notes,
    cell_sentence,
    headline,
    interval,
    rate,
    statement,
)
from orchestrator.results.outputs.html.numbers import day_and_time
from orchestrator.results.outputs.html.template import fill
from orchestrator.verdict.verdict import Verdict

#: The sign of each answer, and the verdict whose colour it has.
MARKS = {
    Answer.WORSE: ("✗", Verdict.AFFECTED),
    Answer.BETTER: ("✓", Verdict.CLEAN),
    Answer.SAME: ("=", Verdict.CLEAN),
    Answer.CANT_TELL: ("?", Verdict.INCONCLUSIVE),
}

#: Answers, the gravest first.
_GRAVITY = (Answer.WORSE, Answer.CANT_TELL, Answer.BETTER, Answer.SAME)


@dataclass(frozen=True, slots=True)
class CellView:
    """A cell on the page."""

    name: str
    answer: str
    sign: str
    colour: str
    first: str
    second: str
    difference: str
    sentences: str


@dataclass(frozen=True, slots=True)
class PairView:
    """A run beside the first one on the page."""

    letter: str
    headline: str
    sign: str
    colour: str
    cells: list[CellView]
    left_out: tuple[tuple[str, str], ...]
    hosts: list[tuple[str, str, str]]
    cause: str


def comparison_page(found: Comparison) -> bytes:
    """Return the page. The same comparison gives the same bytes."""
    arms = [("A", found.first), *((pair.letter, pair.arm) for pair in found.pairs)]
    return fill(
        "compare.html",
        title=", ".join(headline(pair).rstrip(".") for pair in found.pairs),
        runs=[(name, arm.name, day_and_time(arm.began_at)) for name, arm in arms],
        notices=[note for name, arm in arms for note in arm_notes(name, arm)],
        pairs=[_pair(pair) for pair in found.pairs],
        statement=statement(found) if found.tests else "",
    )


def _pair(pair: Pair) -> PairView:
    answers = {cell.answer for cell in pair.cells} or {Answer.CANT_TELL}
    sign, colour = MARKS[next(each for each in _GRAVITY if each in answers)]
    return PairView(
        pair.letter,
        headline(pair),
        sign,
        colour.value,
        [_cell(cell, pair) for cell in pair.cells],
        pair.left_out,
        [(name, one, other) for name, (one, other) in pair.hosts.facts.items()],
        pair.hosts.cause if pair.cells else "",
    )


def _cell(cell: CellComparison, pair: Pair) -> CellView:
    sign, colour = MARKS[cell.answer]
    return CellView(
        cell.name,
        answer(cell),
        sign,
        colour.value,
        rate(cell.first, cell.rates[0]),
        rate(cell.second, cell.rates[1]),
        interval(cell.over_loads),
        " ".join([cell_sentence(cell, pair), *cell_notes(cell, pair)]),
    )
