"""Progress while a run goes on: rows on a terminal, lines elsewhere, all on standard error."""

import contextlib
import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from orchestrator.cli.screen import with_width
from orchestrator.cli.table import wrap
from orchestrator.cli.text import without_commands
from orchestrator.findings.cause import Diagnosis
from orchestrator.findings.outcome import Outcome
from orchestrator.journal.begun import run_began
from orchestrator.journal.file import JOURNAL
from orchestrator.plan.cell import Cell
from orchestrator.results.printable import one_line, paragraph
from orchestrator.results.short_names import short_names
from orchestrator.stats.rate import Losses, loss_rate
from orchestrator.verdict.verdict import Verdict

#: Width of a terminal from which on rows have bars and whole cell ids, in columns.
_WIDE = 110

#: Columns for the counts of a row, which no other column may take.
_COUNTS = len("1000/1000")

#: Off a terminal, the least time between two lines about one cell, or about the whole run.
_LINE_EVERY_S = 5.0

#: Diagnoses of a cell that are printed; further ones go to the journal only.
_SHOWN_DIAGNOSES = 3

#: Cells that have a row at a time: those that did something last.
_ROWS = 8


@dataclass(slots=True)
class _Row:
    """The progress of one cell."""

    task: TaskID
    planned: int
    done: int = 0
    odd: Counter[Outcome] = field(default_factory=Counter)
    """The outcomes that are neither normal ticks nor unknown."""
    unknown: int = 0
    diagnoses: int = 0
    controls: int = 0
    last_line: float = 0.0
    last_heard: float = 0.0
    began: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class PartTimes:
    """How long the parts of a run took, in seconds of the wall clock."""

    before_s: float = 0.0
    """Time until the first cell began: in it the run is prepared."""
    cells_s: dict[str, float] = field(default_factory=dict)
    """Time from the beginning to the end of each cell, by its id. Cells can run side by side."""


class Show:
    """Progress on standard error: a live table on a terminal, plain lines elsewhere."""

    def __init__(self, confidence: float) -> None:
        self._confidence = confidence
        self._console = with_width(Console(stderr=True))
        self._wide = self._console.width >= _WIDE
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            *([BarColumn()] if self._wide else []),
            TextColumn(
                "{task.completed:.0f}/{task.total:.0f}",
                table_column=Column(no_wrap=True, min_width=_COUNTS),
            ),
            TextColumn("{task.fields[estimate]}", markup=False),
            *([TimeRemainingColumn()] if self._wide else []),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._rows: dict[str, _Row] = {}
        self._names: dict[str, str] = {}
        self._whole: TaskID | None = None
        self._cells = self._cells_done = self._trials = self._lost = 0
        self._began = self._last_line = time.monotonic()
        self.times = PartTimes()

    def __enter__(self) -> "Show":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print a line above the rows."""
        # In a file, one note is one line.
        shown = without_commands(paragraph(text))
        lines = wrap(shown, self._console.width) if self._console.is_terminal else [shown]
        for line in lines:
            self._progress.console.print(Text(line), highlight=False, soft_wrap=True)

    noted = say

    @contextlib.contextmanager
    def bar(self, text: str) -> Iterator[Callable[[int, int], None]]:
        """Give a row to work that is not a cell; text and row appear when it first reports.

        Yields:
            The function to call with the amount that is done and the total.
        """
        tasks: list[TaskID] = []

        def progress(done: int, total: int) -> None:
            if not tasks:
                self.say(text)
                tasks.append(self._progress.add_task(one_line(text), total=total, estimate=""))
            self._progress.update(tasks[0], completed=done)

        try:
            yield progress
        finally:
            for task in tasks:
                self._progress.remove_task(task)

    def run_begins(self, cells: Sequence[Cell], planned: int) -> None:
        """Begin the row of the whole run if there are several cells."""
        self._cells = len(cells)
        ids = [one_line(cell.id) for cell in cells]
        room = self._console.width // (2 if self._wide else 4)
        short = short_names(ids, room)
        whole = self._wide and max(map(cell_len, ids)) <= room
        self._names = {
            cell.id: name if whole else short[name] for cell, name in zip(cells, ids, strict=True)
        }
        self._began = time.monotonic()
        if self._cells > 1:
            self._whole = self._progress.add_task(
                "all cells", total=self._cells * planned, estimate=""
            )
            self.say(
                f"{self._cells} cells of {planned} trials; each cell's virtual machine is "
                "started first, to see whether it works here"
            )

    def cell_begins(self, cell: Cell, planned: int) -> None:
        """Begin the row of a cell."""
        self.times.before_s = self.times.before_s or time.monotonic() - self._began
        self._rows[cell.id] = _Row(
            self._progress.add_task(
                self._names.get(cell.id, one_line(cell.id)), total=planned,
                visible=len(self._rows) < _ROWS, estimate="control",
            ),
            planned,
        )  # fmt: skip
        if self._cells <= _ROWS:
            self.say(f"{cell.id}: {planned} trials")

    def cell_ends(self, cell: Cell, verdict: Verdict, why: str) -> None:
        """Remove the row of a cell and print its verdict."""
        self._cells_done += 1
        if row := self._rows.pop(cell.id, None):
            self._progress.remove_task(row.task)
            self.times.cells_s[cell.id] = time.monotonic() - row.began
        if self._cells > 1 or verdict is Verdict.SKIPPED:
            self.say(f"{cell.id}: {verdict}: {why}")
        self._show_whole()

    def control_seen(self, cell: Cell, seen: bool) -> None:
        """Print whether a control was seen."""
        row = self._rows[cell.id]
        row.controls += 1
        if not seen or self._cells <= _ROWS:
            self.say(
                f"{cell.id}: control {row.controls}: its injected loss was "
                + ("seen" if seen else "NOT SEEN")
            )

    def attempt_ends(self, cell: Cell, outcome: Outcome, done: int, planned: int) -> None:
        """Update the row of a cell; off a terminal, print a line now and then."""
        row = self._rows[cell.id]
        self._trials += done - row.done
        row.done = done
        if outcome is Outcome.UNKNOWN:
            row.unknown += 1
        elif not outcome.ticked:
            row.odd[outcome] += 1
        self._lost += outcome is Outcome.LOST
        self._make_visible(row)
        estimate = self._estimate(row)
        shown = estimate if self._wide else estimate.replace("loss rate ", "")
        self._progress.update(row.task, completed=done, estimate=shown)
        self._show_whole()
        now = time.monotonic()
        if not self._console.is_terminal and self._cells <= _ROWS and (
            done == planned or now - row.last_line >= _LINE_EVERY_S
        ):  # fmt: skip
            row.last_line = now
            self.say(f"{cell.id}: {done}/{planned}, {estimate}")

    def _estimate(self, row: _Row) -> str:
        """Return what a cell has shown so far, in the words of the table that comes at the end."""
        lost = row.odd[Outcome.LOST]
        words = [f"{lost} lost"] if row.odd.total() else []
        words += [f"{n} {kind}" for kind, n in row.odd.most_common() if kind is not Outcome.LOST]
        if row.done:
            rate = loss_rate(Losses(row.done, lost, planned=row.planned), self._confidence)
            low = f"{rate.low:.1%} to {rate.high:.1%}" if lost else f"< {rate.high:.2%}"
            words.append(f"loss rate {low}")
        return ", ".join(words + ([f"{row.unknown} unknown"] if row.unknown else []))

    def cut_short(self, folder: Path, *, resumable: bool) -> None:
        """Print the counts of the cells that have not ended, and how to go on with their run."""
        if self._cells > 1:
            self.say(f"all cells: {self._trials} trials, {self._words()}")
        last = sorted(self._rows.items(), key=lambda item: -item[1].last_heard)
        for name, row in last[:_ROWS]:
            self.say(f"{name}: {row.done}/{row.planned}, {self._estimate(row) or 'no load yet'}")
        if self.say_place(folder) and resumable:
            self.say(f"continue with: losttick run --resume {shlex.quote(str(folder))}")

    def say_place(self, folder: Path) -> bool:
        """Print where the journal is, if it has begun; return whether it has."""
        if not run_began(folder):
            return False
        place = shlex.quote(str(folder))
        self.say(f"journal so far: {folder / JOURNAL}; results so far: losttick show {place}")
        return True

    def _make_visible(self, row: _Row) -> None:
        """Give rows to the cells that did something last."""
        row.last_heard = time.monotonic()
        if len(self._rows) > _ROWS and self._console.is_terminal:
            recent = sorted(self._rows.values(), key=lambda row: -row.last_heard)
            for place, each in enumerate(recent):
                self._progress.update(each.task, visible=place < _ROWS)

    def _show_whole(self) -> None:
        """Update the row of the whole run; off a terminal, print a line now and then."""
        if self._whole is None:
            return
        now = time.monotonic()
        words = self._words()
        self._progress.update(self._whole, completed=self._trials, estimate=words)
        due = now - self._last_line >= _LINE_EVERY_S or self._cells_done == self._cells
        if due and self._cells > _ROWS and not self._console.is_terminal:
            self._last_line = now
            self.say(f"all cells: {self._trials} trials, {words}")

    def _words(self) -> str:
        rate = self._trials / max(time.monotonic() - self._began, 0.001)
        return (
            f"{self._cells_done} of {self._cells} cells done, {rate:.1f} trials/s, "
            f"{self._lost} lost"
        )

    def diagnosed(self, cell: Cell, diagnosis: Diagnosis) -> None:
        """Print the first few diagnoses of a cell."""
        row = self._rows[cell.id]
        row.diagnoses += 1
        if row.diagnoses <= _SHOWN_DIAGNOSES:
            self.say(f"{cell.id}: {diagnosis.cause}: {diagnosis.sentence}")
        elif row.diagnoses == _SHOWN_DIAGNOSES + 1:
            self.say(f"{cell.id}: further diagnoses are written to the journal only")
