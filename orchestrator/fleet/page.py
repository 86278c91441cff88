"""The page of a fleet, and a page for each of its gravest runs. They need the extra `report`."""

import os
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import LosttickError, own_fault
from orchestrator.fleet.answer import CellAnswer
from orchestrator.fleet.collect import Brought, Collected
from orchestrator.fleet.table import Entry, gravest_first, rows
from orchestrator.fleet.words import bad_host, headline, notes, sentence, short, statement
from orchestrator.results.comparison.words import interval
from orchestrator.results.outputs.html.comparison import MARKS
from orchestrator.results.outputs.html.output import OUTPUT
from orchestrator.results.outputs.html.palette import SIGNS
from orchestrator.results.outputs.html.template import fill
from orchestrator.results.outputs.output import OutputOptions
from orchestrator.results.outputs.target import write_error, write_target
from orchestrator.results.report import read_report

#: The page of a fleet, and the folder of its runs' pages, in the fleet's folder. (A run's own
#: folder was brought from a host, so nothing is written into it.)
PAGE, PAGES = "fleet.html", "pages"

#: Most answers whose reasons stand on the page beside the answer.
_MOST_ANSWERS = 500


@dataclass(frozen=True, slots=True)
class MarkView:
    """A run in the table."""

    words: str
    colour: str
    sign: str
    link: str
    title: str


@dataclass(frozen=True, slots=True)
class AnswerView:
    """The answer of a cell."""

    cell: str
    words: str
    sign: str
    colour: str
    first: str
    second: str
    difference: str
    sentences: str


@dataclass(frozen=True, slots=True)
class KernelView:
    """A kernel beside the first one."""

    name: str
    headline: str
    answers: list[AnswerView]


def write_pages(found: Collected, most: int, note: Callable[[str], None]) -> Path:
    """Write the page of a fleet, and those of its runs with the gravest verdicts.

    Args:
        found: what was collected.
        most: how many runs get a page of their own.
        note: is called with words about each page that can't be written.

    Returns:
        The fleet's page.

    Raises:
        OutputError: the page can't be written.
        TargetError: the disk is full, or failed.
    """
    folder = found.folder.path / PAGES
    written: set[str] = set()
    chosen = gravest_first(found)[:most]
    if chosen:
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise write_error(f"pages into {folder}", error) from error
    for each in chosen if not folder.is_symlink() else ():
        try:
            target = folder / f"{each.task.id}.html"
            report = read_report(found.folder.run(each.task.id))
            write_target(target, OUTPUT.render([report], OutputOptions(target=target)))
        except LosttickError as error:
            note(str(error))
        except Exception as error:
            note(own_fault(f"writing the page of {each.task.id}", error))
        else:
            written.add(each.task.id)
    target = found.folder.path / PAGE
    write_target(target, fleet_page(found, written))
    return target


def fleet_page(found: Collected, pages: set[str]) -> bytes:
    """Return the page.

    Args:
        found: what was collected.
        pages: ids of the tasks whose runs have a page.
    """
    kernels = found.answer.kernels
    return fill(
        "fleet.html",
        title=found.folder.path.name,
        kernels=kernels,
        hosts=[
            (row.host, [_mark(each, pages) if each else None for each in row.entries])
            for row in rows(found)
        ],
        compared=[_kernel(found, name) for name in kernels[1:]],
        bad=[bad_host(each) for each in found.answer.bad],
        notices=found.notes,
        faults=[(each.task.id, each.fault.why) for each in found.brought if each.fault],
        unfinished=[
            (each.task.id, each.run.unfinished)
            for each in found.brought
            if each.run and not each.fault and each.run.unfinished
        ],
        statement=statement(found.answer) if len(kernels) > 1 else "",
        tasks=len(found.brought),
        trials=found.trials,
    )


def _mark(entry: Entry, pages: set[str]) -> MarkView:
    task, fault = entry.brought.task, entry.brought.fault
    link = f"{PAGES}/{task.id}.html" if task.id in pages else ""
    return MarkView(
        entry.words,
        entry.verdict.value if entry.verdict else "skipped",
        SIGNS[entry.verdict] if entry.verdict else "·",
        urllib.parse.quote(os.fsencode(link)),
        fault.why if fault else _run_title(entry.brought),
    )


def _run_title(brought: Brought) -> str:
    assert brought.run is not None
    return f"{brought.task.id}: {brought.run.kernel}, {brought.run.cpu}"


def _kernel(found: Collected, name: str) -> KernelView:
    cells = [cell for cell in found.answer.cells if cell.second == name]
    return KernelView(
        name, headline(found.answer, name), [_answer(cell) for cell in cells[:_MOST_ANSWERS]]
    )


def _answer(cell: CellAnswer) -> AnswerView:
    sign, verdict = MARKS[cell.answer]
    lost = [f"{lost:,} of {loads:,}" for lost, loads in zip(cell.lost, cell.loads, strict=True)]
    return AnswerView(
        cell.cell, short(cell), sign, verdict.value, lost[0], lost[1],
        interval(cell.whole.over_loads) if cell.whole else "",
        " ".join([sentence(cell), *notes(cell)]),
    )  # fmt: skip
