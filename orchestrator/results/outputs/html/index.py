"""The page over all runs in a folder, for whoever comes in the morning: newest first.

Each run gets a page of its own, `run-page.html` in its folder. What the index says of a run is
kept in `index.json` beside it, so that only new runs, and runs that went on, are read again.
"""

import os
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from orchestrator.errors import InputError, LosttickError, own_fault
from orchestrator.journal.file import JOURNAL
from orchestrator.process.existence import is_file, is_hidden
from orchestrator.results.explain import first_paragraph
from orchestrator.results.outputs.html.output import OUTPUT
from orchestrator.results.outputs.html.template import fill
from orchestrator.results.outputs.output import OutputError, OutputOptions
from orchestrator.results.outputs.table import INDEX
from orchestrator.results.outputs.target import TargetError, write_target
from orchestrator.results.printable import printable
from orchestrator.results.report import Report, read_report
from orchestrator.verdict.verdict import Verdict
from orchestrator.version import __version__

#: The page of a run, in its folder.
PAGE = "run-page.html"

#: The words of the index for each run.
KEPT = "index.json"

#: Most bytes of `index.json` that are read.
_MOST_KEPT = 64 << 20

#: Kernels of a lab's arms that are named.
_MOST_KERNELS = 4


class NoRunsError(InputError):
    """A folder has no runs."""


@dataclass(frozen=True, slots=True)
class Row:
    """The words of the index for one run."""

    folder: str
    """Its name."""
    stamp: str
    """Changes with the journal, and with the version of losttick that read it."""
    ended: bool = False
    """False if the run goes on, was cut short, or can't be read: that may change by itself."""
    page: bool = False
    """True if the run has a page of its own."""
    fault: str = ""
    """Why the run can't be read; empty if it was."""
    command: str = ""
    verdict: Verdict | None = None
    answer: str = ""
    """What was found, in a sentence."""
    began_at: str = ""
    cells: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    """What the run depends on, by name: its host, kernel, microcode, QEMU and losttick."""

    @property
    def link(self) -> str:
        """The address of its page, relative to the index."""
        return urllib.parse.quote(os.fsencode(f"{self.folder}/{PAGE}"))

    def fact(self, name: str) -> str:
        """Return a fact; empty if it is not known."""
        return dict(self.facts).get(name, "")


@dataclass(frozen=True, slots=True)
class Entry:
    """A row, and what changed since the run before it of the same cells."""

    row: Row
    changed: tuple[str, ...] = ()


def write_index(folder: Path, note: Callable[[str], None]) -> Path:
    """Write the index of a folder, and the page of each run in it that has none.

    Args:
        folder: whose subfolders are runs.
        note: is called with words for a person about each run that can't be read or written.

    Returns:
        The file of the index.

    Raises:
        NoRunsError: there are no runs.
        OutputError: the index can't be written.
        TargetError: a disk is full, or failed.
    """
    known = {row.folder: row for row in _kept(folder / KEPT)}
    rows = [_row(run, known.get(run.name), note) for run in _runs(folder, note)]
    if not rows:
        raise NoRunsError(
            f"writing an index of {folder}: no folder in it has a {JOURNAL}. Name the folder in "
            "which the output folders of runs are."
        )
    rows.sort(key=lambda row: (row.began_at, row.folder), reverse=True)
    title = folder.resolve().name
    write_target(folder / INDEX, fill("index.html", entries=entries(rows), title=title))
    # JSON can't hold a name that is not UTF-8.
    kept = [row for row in rows if row.folder.encode(errors="ignore").decode() == row.folder]
    write_target(folder / KEPT, _ROWS.dump_json(kept, indent=1) + b"\n")
    return folder / INDEX


def entries(rows: Sequence[Row]) -> Sequence[Entry]:
    """Return rows, newest first, with what changed since the run before of the same cells."""
    return [Entry(row, _changed(row, rows[place + 1 :])) for place, row in enumerate(rows)]


def _changed(row: Row, older: Sequence[Row]) -> tuple[str, ...]:
    before = next(
        (
            each
            for each in older
            if (each.command, each.cells) == (row.command, row.cells) and not each.fault
        ),
        None,
    )
    if before is None or row.fault:
        return ()
    then, now = dict(before.facts), dict(row.facts)
    told = [
        f"{name}: {then.get(name, 'not known')} → {now.get(name, 'not known')}"
        for name in dict.fromkeys([*now, *then])
        if then.get(name) != now.get(name)
    ]
    if before.verdict is not row.verdict:
        told.insert(0, f"verdict: {before.verdict} → {row.verdict}")
    return tuple(told)


def _runs(folder: Path, note: Callable[[str], None]) -> Iterator[Path]:
    """Yield the folders of runs. Links are not followed: they may lead anywhere.

    What another user keeps private may be a run or not: the index is one of the others.
    """
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise NoRunsError(f"writing an index of {folder}: {error.strerror}") from error
    for each in found:
        if each.is_symlink():
            continue
        if is_file(each / JOURNAL):
            yield each
        elif is_hidden(each / JOURNAL):
            note(f"the index is without {each}: this user may not look into it")


def _row(run: Path, known: Row | None, note: Callable[[str], None]) -> Row:
    """Return the row of a run, and write the run's page if it has none of this journal."""
    stamp = _stamp(run)
    if known and known.ended and known.stamp == stamp and is_file(run / PAGE) == known.page:
        return known
    try:
        report = read_report(run)
        row = _of_report(run.name, stamp, report)
    except LosttickError as error:
        return _unread(run, stamp, str(error), note)
    except Exception as error:
        return _unread(run, stamp, own_fault(f"reading {run}", error), note)
    try:
        write_target(run / PAGE, OUTPUT.render([report], OutputOptions(target=run / PAGE)))
    except (OutputError, TargetError) as error:
        note(str(error))
        return row
    except Exception as error:
        note(own_fault(f"writing {run / PAGE}", error))
        return row
    return replace(row, page=True)


def _unread(run: Path, stamp: str, fault: str, note: Callable[[str], None]) -> Row:
    note(fault)
    return Row(run.name, stamp, fault=printable(fault))


def _stamp(run: Path) -> str:
    about = (run / JOURNAL).stat()
    return f"{about.st_size}/{about.st_mtime_ns}/{__version__}"


def _of_report(name: str, stamp: str, report: Report) -> Row:
    return Row(
        name,
        stamp,
        ended=report.interrupted is None,
        command=report.command,
        verdict=report.verdict,
        answer=first_paragraph(report).partition(". ")[0].rstrip(".") + ".",
        began_at=report.began_at,
        cells=tuple(case.name for case in report.cases),
        facts=tuple(_facts(report)),
    )


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    facts = report.facts
    labs = dict.fromkeys(case.lab.version for case in report.cases if case.lab)
    if labs:
        more = len(labs) - _MOST_KERNELS
        named = ", ".join(list(labs)[:_MOST_KERNELS]) + (f" and {more} more" if more > 0 else "")
        yield "kernel", named
    elif facts:
        yield "kernel", facts.kernel
        yield "kernel build", facts.kernel_build
    if facts:
        yield "host", facts.cpu
        yield "microcode", facts.microcode or "not known"
        for module, values in facts.kvm_modules.items():
            if "enable_apicv" in values:
                yield f"{module}.enable_apicv", values["enable_apicv"]
        if facts.qemu:
            yield "QEMU", facts.qemu.version
    if report.losttick:
        yield "losttick", report.losttick


_ROWS = TypeAdapter(list[Row])


def _kept(path: Path) -> list[Row]:
    """Return the rows of an earlier index; none if there is none that can be read."""
    try:
        if path.is_symlink() or path.stat().st_size > _MOST_KEPT:
            return []
        return _ROWS.validate_json(path.read_bytes())
    except (OSError, ValidationError, RecursionError):
        return []
