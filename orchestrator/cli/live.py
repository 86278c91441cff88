"""What a person sees while a run goes on."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from orchestrator.findings.cause import Diagnosis
from orchestrator.findings.outcome import Outcome
from orchestrator.plan.cell import Cell
from orchestrator.stats.sequence import confidence_sequence
from orchestrator.verdict.verdict import Verdict

#: Columns of a terminal from which on there are bars, too.
WIDE = 110

#: Off a terminal, a line of each cell at most this often, and of the run.
_LINE_EVERY_S = 5.0

#: Diagnoses of a cell shown in full while the run goes on; the rest is counted.
_SHOWN_DIAGNOSES = 3

#: Cells that have a row of their own, those that last did something.
_ROWS = 8


@dataclass(slots=True)
class _Row:
    """What is shown of one cell."""

    task: TaskID
    done: int = 0
    bad: int = 0
    unknown: int = 0
    diagnoses: int = 0
    controls: int = 0
    last_line: float = 0.0
    last_heard: float = 0.0


class _StderrConsole(Console):
    """Progress goes on without a reader: a closed pipe ends the words, not the run."""

    def __init__(self) -> None:
        super().__init__(stderr=True)

    def on_broken_pipe(self) -> None:
        self.quiet = True


class Show:
    """Progress on standard error: a live table on a terminal, plain lines elsewhere."""

    def __init__(self, confidence: float) -> None:
        self._confidence = confidence
        self._console = _StderrConsole()
        wide = self._console.width >= WIDE
        self._progress = Progress(
            TextColumn("{task.description}" if wide else "{task.fields[short]}"),
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
        """Print a line above the table."""
        self._progress.console.print(text, highlight=False, markup=False, soft_wrap=True)

    noted = say

    @contextlib.contextmanager
    def bar(self, text: str) -> Iterator[Callable[[int, int], None]]:
        """Give a bar for some other work; it and the text appear when the work first reports."""
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
        """Begin the row of the whole run, where there is more than one cell."""
        self._cells = len(cells)
        self._began = time.monotonic()
        if self._cells > 1:
            self._whole = self._progress.add_task(
                "all cells", total=self._cells * planned, short="all cells", estimate=""
            )
            self.say(f"{self._cells} cells of {planned} trials; what each needs is tried first")

    def cell_begins(self, cell: Cell, planned: int) -> None:
        """Begin a row."""
        self._rows[cell.id] = _Row(
            self._progress.add_task(
                cell.id, total=planned, short=f"{cell.accel} {cell.mode}", estimate="control",
                visible=len(self._rows) < _ROWS,
            )
        )  # fmt: skip
        if self._cells <= _ROWS:
            self.say(f"{cell.id}: {planned} trials")

    def cell_ends(self, cell: Cell, verdict: Verdict, why: str) -> None:
        """End a row."""
        self._cells_done += 1
        if row := self._rows.pop(cell.id, None):
            self._progress.remove_task(row.task)
        if self._cells > 1 or verdict is Verdict.SKIPPED:
            self.say(f"{cell.id}: {verdict}: {why}")
        self._show_whole()

    def control_seen(self, cell: Cell, seen: bool) -> None:
        """Note a control."""
        row = self._rows[cell.id]
        row.controls += 1
        if not seen or self._cells <= _ROWS:
            self.say(
                f"{cell.id}: control {row.controls}: its injected loss was "
                + ("seen" if seen else "NOT SEEN")
            )

    def attempt_ends(self, cell: Cell, outcome: Outcome, done: int, planned: int) -> None:
        """Move a row."""
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
        """Show the cells that last did something."""
        row.last_heard = time.monotonic()
        if len(self._rows) > _ROWS and self._console.is_terminal:
            recent = sorted(self._rows.values(), key=lambda row: -row.last_heard)
            for place, each in enumerate(recent):
                self._progress.update(each.task, visible=place < _ROWS)

    def _show_whole(self) -> None:
        """Move the row of the whole run; off a terminal, print it now and then."""
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
        """Show the first few diagnoses."""
        row = self._rows[cell.id]
        row.diagnoses += 1
        if row.diagnoses <= _SHOWN_DIAGNOSES:
            self.say(f"{cell.id}: {diagnosis.cause}: {diagnosis.sentence}")
        elif row.diagnoses == _SHOWN_DIAGNOSES + 1:
            self.say(f"{cell.id}: further diagnoses go to the journal only")
