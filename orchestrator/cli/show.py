"""What a person sees of a run: live progress, then a table."""

import time
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
        self._bar = Progress(
            TextColumn("{task.description}" if wide else "{task.fields[mode]}"),
            *([BarColumn()] if wide else []),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[estimate]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._task: TaskID | None = None
        self._bad = 0
        self._unknown = 0
        self._diagnoses = 0
        self._controls = 0
        self._last_line = 0.0

    def __enter__(self) -> "Show":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def cell_begins(self, cell: Cell, planned: int) -> None:
        """Begin a bar."""
        self._bad = self._unknown = self._diagnoses = self._controls = 0
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(
            cell.id, total=planned, mode=f"{cell.accel} {cell.mode}", estimate="control"
        )
        # Two ticks a load, a load and a stop, and now and then a save.
        about_s = planned * (1.5 * cell.period_ns / 1e9 + 0.01) + 4
        self.say(
            f"{cell.id}: a control, {planned} trials, a control; about {_duration(about_s)} "
            "if nothing is lost"
        )

    def control_seen(self, cell: Cell, seen: bool) -> None:
        """Note a control."""
        self._controls += 1
        self.say(
            f"{cell.id}: control {self._controls}: its injected loss was "
            + ("seen" if seen else "NOT SEEN")
        )

    def attempt_ends(self, cell: Cell, outcome: Outcome, done: int, planned: int) -> None:
        """Move the bar."""
        self._bad += not outcome.ticked and outcome is not Outcome.UNKNOWN
        self._unknown += outcome is Outcome.UNKNOWN
        estimate = f"{self._bad} lost or odd"
        if not self._bad and done:
            estimate = f"loss rate < {1 - (1 - self._confidence) ** (1 / done):.2%}"
        if self._unknown:
            estimate += f", {self._unknown} unknown"
        if self._task is not None:
            self._bar.update(self._task, completed=done, estimate=estimate)
        now = time.monotonic()
        if not self._console.is_terminal and (
            done == planned or now - self._last_line >= _LINE_EVERY_S
        ):
            self._last_line = now
            self.say(f"{cell.id}: {done}/{planned}, {estimate}")

    def diagnosed(self, cell: Cell, diagnosis: Diagnosis) -> None:
        """Show the first few diagnoses."""
        self._diagnoses += 1
        if self._diagnoses <= _SHOWN_DIAGNOSES:
            self.say(f"{cell.id}: {diagnosis.cause}: {diagnosis.sentence}")
        elif self._diagnoses == _SHOWN_DIAGNOSES + 1:
            self.say(f"{cell.id}: further diagnoses go to the journal only")


def _duration(seconds: float) -> str:
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


def _row(result: CellResult) -> tuple[str, ...]:
    campaign, rate = result.campaign, result.rate
    trials = campaign.outcomes.total()
    kinds = [o for o, _ in campaign.outcomes.most_common() if o.ticked]
    first = spread(campaign.first_tick_ms)
    seen = sum(control.seen for control in campaign.controls)
    estimate = "-" if rate.estimate is None else f"{rate.estimate:.3%}"
    interval = f"< {rate.high:.2%}" if rate.low == 0 else f"{rate.low:.2%} to {rate.high:.2%}"
    if not trials:
        interval = "-"
    if rate.per == "save":
        interval += " of saves"
    return (
        result.cell.id,
        f"[{_COLOURS[result.verdict]}]{result.verdict}[/]",
        str(trials),
        str(campaign.outcomes[Outcome.LOST]),
        interval if not campaign.outcomes[Outcome.LOST] else f"{estimate} ({interval})",
        f"{kinds[0]}, {first['median']:.1f} ms" if kinds and first else "-",
        f"{seen} of {len(campaign.controls)} seen",
    )
