"""Prints what was collected of a fleet."""

from orchestrator.cli.screen import Screen
from orchestrator.cli.table import Table
from orchestrator.cli.text import Styled
from orchestrator.fleet.answer import CellAnswer
from orchestrator.fleet.collect import Collected
from orchestrator.fleet.table import Row, rows
from orchestrator.fleet.words import bad_host, headline, notes, sentence, short, statement
from orchestrator.results.comparison.compare import Answer
from orchestrator.results.comparison.words import interval
from orchestrator.results.exit_code import GRAVITY, ExitCode
from orchestrator.verdict.verdict import Verdict

#: Hosts, answers and faults that are printed; the page and --json have all.
_MOST_HOSTS, _MOST_ANSWERS, _MOST_FAULTS = 40, 48, 20

_VERDICTS = {
    Verdict.AFFECTED: "bold red",
    Verdict.ANOMALOUS: "magenta",
    Verdict.CLEAN: "green",
    Verdict.INCONCLUSIVE: "yellow",
}

_ANSWERS = {
    Answer.WORSE: "bold red",
    Answer.BETTER: "green",
    Answer.SAME: "green",
    Answer.CANT_TELL: "yellow",
}


def print_collected(screen: Screen, found: Collected) -> None:
    """Print hosts by kernels, how kernels stand to each other, and what is missing."""
    _print_hosts(screen, found, rows(found))
    for kernel in found.answer.kernels[1:]:
        screen.space()
        _print_kernel(screen, found, kernel)
    if len(found.answer.kernels) > 1 and (said := statement(found.answer)):
        screen.space()
        screen.prose(said)
    if found.answer.bad or found.notes:
        screen.space()
    for bad in found.answer.bad:
        screen.prose(bad_host(bad), style="bold")
    for note in found.notes:
        screen.prose(note, style="yellow")
    _print_faults(screen, found)
    screen.space()
    runs = "1 run" if found.added == 1 else f"{found.added:,} runs"
    kept = f"{runs} added to the history, {found.again:,} read again"
    screen.prose(f"{len(found.brought):,} tasks, {found.trials:,} trials; {kept}.")


def _print_hosts(screen: Screen, found: Collected, all_rows: list[Row]) -> None:
    """Print the table; of many hosts those with the gravest results."""
    shown = all_rows
    if len(all_rows) > _MOST_HOSTS:
        shown = sorted(all_rows, key=lambda row: GRAVITY.index(row.code))[:_MOST_HOSTS]
    table = Table(("host", *found.answer.kernels))
    for row in shown:
        table.add(
            row.host,
            *(
                Styled(entry.words, _VERDICTS.get(entry.verdict, "") if entry.verdict else "red")
                if entry
                else ""
                for entry in row.entries
            ),
        )
    screen.table(table)
    if left := len(all_rows) - len(shown):
        rest = [row for row in all_rows if row not in shown]
        clean = sum(row.code is ExitCode.CLEAN for row in rest)
        screen.prose(f"{left:,} more hosts, {clean:,} of them clean under all kernels.")


def _print_kernel(screen: Screen, found: Collected, kernel: str) -> None:
    cells = [cell for cell in found.answer.cells if cell.second == kernel]
    shown = cells
    if len(cells) > _MOST_ANSWERS:
        order = (Answer.WORSE, Answer.BETTER, Answer.CANT_TELL, Answer.SAME)
        shown = sorted(cells, key=lambda cell: order.index(cell.answer))[:_MOST_ANSWERS]
    first = found.answer.kernels[0]
    table = Table(("cell", f"lost with {first}", f"lost with {kernel}", "difference", "answer"))
    for cell in shown:
        lost = [f"{lost:,} of {loads:,}" for lost, loads in zip(cell.lost, cell.loads, strict=True)]
        difference = interval(cell.whole.over_loads) if cell.whole else "-"
        table.add(cell.cell, *lost, difference, Styled(short(cell), _ANSWERS[cell.answer]))
    screen.table(table)
    if len(cells) > len(shown):
        screen.prose(f"{len(cells) - len(shown):,} more cells: see the page, or use --json.")
    screen.space()
    screen.prose(headline(found.answer, kernel))
    for cell in shown:
        _print_reason(screen, cell)


def _print_reason(screen: Screen, cell: CellAnswer) -> None:
    text = " ".join([sentence(cell), *notes(cell)])
    screen.prose(f"{cell.cell}: ", Styled(cell.answer, _ANSWERS[cell.answer]), f": {text}")


def _print_faults(screen: Screen, found: Collected) -> None:
    """Print why tasks have no result, and which runs have not ended."""
    lines = [
        f"{each.task.id}: {each.fault.trouble}: {each.fault.why}"
        for each in found.brought
        if each.fault
    ] + [
        f"{each.task.id} has not ended ({each.run.unfinished}). The stated errors hold for runs "
        "that are compared once."
        for each in found.brought
        if each.run and not each.fault and each.run.unfinished
    ]
    if lines:
        screen.space()
    for line in lines[:_MOST_FAULTS]:
        screen.prose(line, style="yellow")
    if len(lines) > _MOST_FAULTS:
        screen.prose(f"{len(lines) - _MOST_FAULTS:,} more: see the page, or use --json.")
