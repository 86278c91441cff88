"""Prints a comparison."""

from orchestrator.cli.screen import Screen
from orchestrator.cli.table import Table
from orchestrator.cli.text import Styled
from orchestrator.results.comparison.compare import Answer, Comparison, Pair
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

_STYLES = {
    Answer.WORSE: "bold red",
    Answer.BETTER: "green",
    Answer.SAME: "green",
    Answer.CANT_TELL: "yellow",
}


def print_comparison(screen: Screen, found: Comparison) -> None:
    """Print each run beside the first one, and the errors that the answers may have."""
    screen.line(f"A: {found.first.name}")
    for pair in found.pairs:
        screen.line(f"{pair.letter}: {pair.arm.name}")
    for pair in found.pairs:
        screen.space()
        _print_pair(screen, pair)
    for letter, arm in (("A", found.first), *((pair.letter, pair.arm) for pair in found.pairs)):
        for note in arm_notes(letter, arm):
            screen.prose(note, style="yellow")
    if found.tests:
        screen.prose(statement(found))


def _print_pair(screen: Screen, pair: Pair) -> None:
    lost, other = "lost in A", f"lost in {pair.letter}"
    table = Table(("cell", lost, other, "difference", "answer"))
    for cell in pair.cells:
        table.add(
            cell.name,
            rate(cell.first, cell.rates[0]),
            rate(cell.second, cell.rates[1]),
            interval(cell.over_loads),
            Styled(answer(cell), _STYLES[cell.answer]),
        )
    screen.table(table)
    if pair.cells:
        screen.space()
    screen.prose(headline(pair))
    for cell in pair.cells:
        text = " ".join([cell_sentence(cell, pair), *cell_notes(cell, pair)])
        screen.prose(f"{cell.name}: ", Styled(cell.answer, _STYLES[cell.answer]), f": {text}")
    for name, why in pair.left_out:
        screen.prose(f"{name} was left out: {why}.", style="yellow")
    for name, (one, now) in pair.hosts.facts.items():
        screen.prose(f"{name}: {one} in A, {now} in {pair.letter}")
    if pair.cells:
        screen.prose(pair.hosts.cause)
