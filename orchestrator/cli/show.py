"""What a person sees of a run: live progress, then a table."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.campaign.run import CellResult, RunResult
from orchestrator.findings.outcome import Outcome
from orchestrator.results.meaning import meaning
from orchestrator.results.summary import spread
from orchestrator.verdict.verdict import Verdict

_COLOURS = {
    Verdict.AFFECTED: "bold red",
    Verdict.ANOMALOUS: "red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.CLEAN: "green",
    Verdict.SKIPPED: "dim",
}

_COLUMNS = ("cell", "verdict", "loads", "lost", "loss rate", "first tick", "controls")

#: Columns of a terminal that the table and the bar take.
WIDE = 110

#: Off a terminal, a line at most this often.
_LINE_EVERY_S = 5.0

#: Diagnoses shown in full while the run goes on; the rest is counted.
_SHOWN_DIAGNOSES = 3


def print_run(run: RunResult) -> None:
    """Print the verdict table, what it means, and where everything is."""
    console = Console()
    if not console.is_terminal:
        console.width = 140
    rows = [_row(result) for result in run.cells]
    if console.width >= WIDE:
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
    if len(run.cells) > 1 and run.statement:
        console.print(run.statement, highlight=False, markup=False)
    if run.changed:
        console.print(
            f"The host changed while this run was interrupted: {', '.join(run.changed)}.",
            style="yellow", highlight=False,
        )  # fmt: skip
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
