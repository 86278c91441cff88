"""What a person sees of a run: live progress, then a table."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from orchestrator.campaign.run import CellResult, RunResult
from orchestrator.campaign.verdict import Verdict
from orchestrator.plan.model import Cell
from orchestrator.results.meaning import meaning
from orchestrator.results.summary import spread
from orchestrator.trial.diagnosis import Diagnosis
from orchestrator.trial.outcome import Outcome

_COLOURS = {
    Verdict.AFFECTED: "bold red",
    Verdict.ANOMALOUS: "red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.CLEAN: "green",
    Verdict.SKIPPED: "dim",
}

_COLUMNS = ("cell", "verdict", "loads", "lost", "loss rate", "first tick", "controls")

#: Columns of a terminal that the table and the bar take.
_WIDE = 110

#: Off a terminal, a line at most this often.
_LINE_EVERY_S = 5.0

#: Diagnoses shown in full while the run goes on; the rest is counted.
_SHOWN_DIAGNOSES = 3


@dataclass(slots=True)
class _Shown:
    """What is shown of one cell."""

    task: TaskID
    bad: int = 0
    unknown: int = 0
    diagnoses: int = 0
    controls: int = 0
    last_line: float = 0.0
    done: bool = False


class _StderrConsole(Console):
    """Progress goes on without a reader: a closed pipe ends the words, not the run."""

    def __init__(self) -> None:
        super().__init__(stderr=True)

    def on_broken_pipe(self) -> None:
        self.quiet = True


class Show:
    """Progress on standard error: a bar on a terminal, plain lines elsewhere."""

    def __init__(self, confidence: float) -> None:
        self._confidence = confidence
        self._console = _StderrConsole()
        wide = self._console.width >= _WIDE
        self._progress = Progress(
            TextColumn("{task.description}" if wide else "{task.fields[mode]}"),
            *([BarColumn()] if wide else []),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[estimate]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._cells: dict[str, _Shown] = {}

    def __enter__(self) -> "Show":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(text, highlight=False, markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def bar(self, text: str) -> Iterator[Callable[[int, int], None]]:
        """Give a bar for some other work; it and the text appear when the work first reports."""
        tasks: list[TaskID] = []

        def progress(done: int, total: int) -> None:
            if not tasks:
                self.say(text)
                tasks.append(self._progress.add_task(text, total=total, mode=text, estimate=""))
            self._progress.update(tasks[0], completed=done)

        try:
            yield progress
        finally:
            for task in tasks:
                self._progress.remove_task(task)

    def cell_begins(self, cell: Cell, planned: int) -> None:
        """Begin a bar."""
        for done in [shown for shown in self._cells.values() if shown.done]:
            self._progress.remove_task(done.task)
            self._cells = {id_: each for id_, each in self._cells.items() if each is not done}
        task = self._progress.add_task(
            cell.id, total=planned, mode=f"{cell.accel} {cell.mode}", estimate="control"
        )
        self._cells[cell.id] = _Shown(task)
        about = ""
        if not cell.host:
            # Two ticks a load, a load and a stop, and now and then a save.
            about_s = planned * (1.5 * cell.period_ns / 1e9 + 0.01) + 4
            about = f"; about {duration(about_s)} if nothing is lost"
        self.say(f"{cell.id}: a control, {planned} trials, a control{about}")

    def control_seen(self, cell: Cell, seen: bool) -> None:
        """Note a control."""
        shown = self._cells[cell.id]
        shown.controls += 1
        shown.done = shown.controls == 2
        self.say(
            f"{cell.id}: control {shown.controls}: its injected loss was "
            + ("seen" if seen else "NOT SEEN")
        )

    def attempt_ends(self, cell: Cell, outcome: Outcome, done: int, planned: int) -> None:
        """Move the bar."""
        shown = self._cells[cell.id]
        shown.bad += not outcome.ticked and outcome is not Outcome.UNKNOWN
        shown.unknown += outcome is Outcome.UNKNOWN
        estimate = f"{shown.bad} lost or odd"
        if not shown.bad and done:
            estimate = f"loss rate < {1 - (1 - self._confidence) ** (1 / done):.2%}"
        if shown.unknown:
            estimate += f", {shown.unknown} unknown"
        self._progress.update(shown.task, completed=done, estimate=estimate)
        now = time.monotonic()
        if not self._console.is_terminal and (
            done == planned or now - shown.last_line >= _LINE_EVERY_S
        ):
            shown.last_line = now
            self.say(f"{cell.id}: {done}/{planned}, {estimate}")

    def diagnosed(self, cell: Cell, diagnosis: Diagnosis) -> None:
        """Show the first few diagnoses."""
        shown = self._cells[cell.id]
        shown.diagnoses += 1
        if shown.diagnoses <= _SHOWN_DIAGNOSES:
            self.say(f"{cell.id}: {diagnosis.cause}: {diagnosis.sentence}")
        elif shown.diagnoses == _SHOWN_DIAGNOSES + 1:
            self.say(f"{cell.id}: further diagnoses go to the journal only")


def duration(seconds: float) -> str:
    """Return a span in the unit that suits it."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def print_run(run: RunResult) -> None:
    """Print the verdict table, what it means, and where everything is."""
    console = Console()
    if not console.is_terminal:
        console.width = 140
    rows = [_row(result) for result in run.cells]
    if console.width >= _WIDE:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in _COLUMNS:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    else:
        for row in rows:
            for column, value in zip(_COLUMNS, row, strict=True):
                console.print(f"[bold]{column:>11}[/]  {value}", highlight=False)
    console.print()
    text = Text(f"{run.verdict}", style=_COLOURS[run.verdict])
    text.append(f": {meaning(run)}", style="not bold default")
    console.print(text)
    for place, what in (("journal.jsonl", "journal"), ("evidence", "evidence")):
        path = run.journal.with_name(place)
        if path.exists():
            console.print(f"{what}: {path}", markup=False, highlight=False, soft_wrap=True)


def coloured(verdict: Verdict) -> str:
    """Return a verdict with its colour, as rich's markup."""
    return f"[{_COLOURS[verdict]}]{verdict}[/]"


def interval(result: CellResult) -> str:
    """Return the interval of a cell's loss rate, in words."""
    rate = result.rate
    if not result.campaign.outcomes.total():
        return "-"
    words = f"< {rate.high:.2%}" if rate.low == 0 else f"{rate.low:.2%} to {rate.high:.2%}"
    return words + (" of saves" if rate.per == "save" else "")


def first_tick_class(result: CellResult) -> Outcome | None:
    """Return which first tick was seen most, if any was."""
    kinds = [o for o, _ in result.campaign.outcomes.most_common() if o.ticked]
    return kinds[0] if kinds else None


def controls_seen(result: CellResult) -> str:
    """Return how many controls were seen, in words."""
    controls = result.campaign.controls
    return f"{sum(control.seen for control in controls)} of {len(controls)} seen"


def _row(result: CellResult) -> tuple[str, ...]:
    campaign, rate = result.campaign, result.rate
    lost = campaign.outcomes[Outcome.LOST]
    kind, first = first_tick_class(result), spread(campaign.first_tick_ms)
    estimate = "-" if rate.estimate is None else f"{rate.estimate:.3%}"
    return (
        result.cell.id,
        coloured(result.verdict),
        str(campaign.outcomes.total()),
        str(lost),
        f"{estimate} ({interval(result)})" if lost else interval(result),
        f"{kind}, {first['median']:.1f} ms" if kind and first else "-",
        controls_seen(result),
    )
