"""Progress while a run goes on: rows on a terminal, lines elsewhere, all on standard error."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from orchestrator.cli.screen import with_width
from orchestrator.cli.text import printable
from orchestrator.findings.cause import Diagnosis
from orchestrator.findings.outcome import Outcome
from orchestrator.plan.cell import Cell
from orchestrator.stats.sequence import confidence_sequence
from orchestrator.verdict.verdict import Verdict

#: Width of a terminal from which on rows have bars and whole cell ids, in columns.
_WIDE = 110

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
    done: int = 0
    bad: int = 0
    unknown: int = 0
    diagnoses: int = 0
    controls: int = 0
    last_line: float = 0.0
    last_heard: float = 0.0


class _StderrConsole(Console):
    """Falls silent when its reader goes away, so that the run goes on."""

    def __init__(self) -> None:
        super().__init__(stderr=True)
        with_width(self)

    def on_broken_pipe(self) -> None:
        self.quiet = True


class Show:
    """Progress on standard error: a live table on a terminal, plain lines elsewhere."""

    def __init__(self, confidence: float) -> None:
        self._confidence = confidence
        self._console = _StderrConsole()
        wide = self._console.width >= _WIDE
        self._progress = Progress(
            TextColumn("{task.description}" if wide else "{task.fields[short]}", markup=False),
            *([BarColumn()] if wide else []),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[estimate]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._rows: dict[str, _Row] = {}
        self._whole: TaskID | None = None
        self._cells = self._cells_done = self._trials = self._lost = 0
        self._began = self._last_line = time.monotonic()

    def __enter__(self) -> "Show":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print a line above the rows."""
        # A terminal wraps between words. In a file, one note is one line.
        self._progress.console.print(
            printable(text), highlight=False, markup=False,
            soft_wrap=not self._console.is_terminal,
        )  # fmt: skip

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
                tasks.append(self._progress.add_task(text, total=total, short=text, estimate=""))
            self._progress.update(tasks[0], completed=done)

        try:
            yield progress
        finally:
            for task in tasks:
                self._progress.remove_task(task)

    def run_begins(self, cells: Sequence[Cell], planned: int) -> None:
        """Begin the row of the whole run if there are several cells."""
        self._cells = len(cells)
        self._began = time.monotonic()
        if self._cells > 1:
            self._whole = self._progress.add_task(
                "all cells", total=self._cells * planned, short="all cells", estimate=""
            )
            self.say(
                f"{self._cells} cells of {planned} trials; each cell's virtual machine is "
                "started first, to see whether it works here"
            )

    def cell_begins(self, cell: Cell, planned: int) -> None:
        """Begin the row of a cell."""
        self._rows[cell.id] = _Row(
            self._progress.add_task(
                printable(cell.id), total=planned, visible=len(self._rows) < _ROWS,
                short=f"{cell.host or cell.accel} {cell.mode}", estimate="control",
            )
        )  # fmt: skip
        if self._cells <= _ROWS:
            self.say(f"{cell.id}: {planned} trials")

    def cell_ends(self, cell: Cell, verdict: Verdict, why: str) -> None:
        """Remove the row of a cell and print its verdict."""
        self._cells_done += 1
        if row := self._rows.pop(cell.id, None):
            self._progress.remove_task(row.task)
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
        row.bad += not outcome.ticked and outcome is not Outcome.UNKNOWN
        self._lost += outcome is Outcome.LOST
        row.unknown += outcome is Outcome.UNKNOWN
        estimate = self._estimate(row)
        self._make_visible(row)
        self._progress.update(row.task, completed=done, estimate=estimate)
        self._show_whole()
        now = time.monotonic()
        if not self._console.is_terminal and self._cells <= _ROWS and (
            done == planned or now - row.last_line >= _LINE_EVERY_S
        ):  # fmt: skip
            row.last_line = now
            self.say(f"{cell.id}: {done}/{planned}, {estimate}")

    def _estimate(self, row: _Row) -> str:
        if row.bad:
            low, high = confidence_sequence(row.bad, row.done, self._confidence)
            estimate = f"{row.bad} lost or odd, rate {low:.1%} to {high:.1%}"
        elif row.done:
            estimate = f"loss rate < {1 - (1 - self._confidence) ** (1 / row.done):.2%}"
        else:
            estimate = ""
        return estimate + (f", {row.unknown} unknown" if row.unknown else "")

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
        rate = self._trials / max(now - self._began, 0.001)
        words = (
            f"{self._cells_done} of {self._cells} cells done, {rate:.1f} trials/s, "
            f"{self._lost} lost"
        )
        self._progress.update(self._whole, completed=self._trials, estimate=words)
        due = now - self._last_line >= _LINE_EVERY_S or self._cells_done == self._cells
        if due and self._cells > _ROWS and not self._console.is_terminal:
            self._last_line = now
            self.say(f"all cells: {self._trials} trials, {words}")

    def diagnosed(self, cell: Cell, diagnosis: Diagnosis) -> None:
        """Print the first few diagnoses of a cell."""
        row = self._rows[cell.id]
        row.diagnoses += 1
        if row.diagnoses <= _SHOWN_DIAGNOSES:
            self.say(f"{cell.id}: {diagnosis.cause}: {diagnosis.sentence}")
        elif row.diagnoses == _SHOWN_DIAGNOSES + 1:
            self.say(f"{cell.id}: further diagnoses are written to the journal only")
