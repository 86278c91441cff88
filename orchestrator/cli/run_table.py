"""The table of a finished run."""

from collections.abc import Sequence

from orchestrator.cli.screen import Screen
from orchestrator.cli.table import Table
from orchestrator.cli.text import Styled
from orchestrator.findings.outcome import Outcome
from orchestrator.findings.period import in_words
from orchestrator.journal.file import JOURNAL
from orchestrator.journal.recorder import EVIDENCE
from orchestrator.results.columns import (
    controls_seen,
    first_tick_with_time,
    loss_rate,
    went_wrong,
)
from orchestrator.results.hosts import other_hosts
from orchestrator.results.meaning import cell_meaning, explained, meaning
from orchestrator.verdict.run import CellResult, RunResult
from orchestrator.verdict.verdict import Verdict

_STYLES = {
    Verdict.AFFECTED: "bold red",
    Verdict.ANOMALOUS: "red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.CLEAN: "green",
    Verdict.SKIPPED: "dim",
}

_COLUMNS = ("cell", "verdict", "loads", "lost", "loss rate", "first tick", "controls")


def print_run(screen: Screen, run: RunResult) -> None:
    """Print the table of verdicts, what the verdict means, and where journal and evidence are."""
    table = Table(_COLUMNS, right=frozenset({"loads", "lost"}))
    for result in run.cells:
        table.add(*_row(result))
    screen.table(table)
    screen.space()
    screen.prose(coloured(run.verdict), f": {meaning(run)}")
    print_words(screen, run.cells)
    _print_others(screen, run)
    if len(run.cells) > 1 and run.statement:
        screen.prose(run.statement)
    for words, names in _chosen_periods(run).items():
        of = "" if len(run.cells) == 1 else f" in {', '.join(names)}"
        screen.prose(f"By `auto`, {words}{of}.")
    if run.changed:
        changed = ", ".join(run.changed)
        screen.prose(f"The host changed while this run was interrupted: {changed}.", style="yellow")
    for facts, cells in other_hosts(run):
        screen.prose(
            f"Counted on another host, with kernel {facts.kernel} on {facts.cpu}: "
            f"{', '.join(cells)}.",
            style="yellow",
        )
    print_end(screen, run)


def print_words(screen: Screen, cells: Sequence[CellResult]) -> None:
    """Print the meaning of each outcome and cause that went wrong in some cells."""
    words = {name: text for result in cells for name, text in explained(result).items()}
    for name, text in words.items():
        screen.prose(f"{name}: {text}.", style="dim")


def _print_others(screen: Screen, run: RunResult) -> None:
    """Print why each cell that is not clean is not, except for the cell that `meaning` is of.

    If cells were not tested, what the first clean cell shows follows.
    """
    same: dict[tuple[Verdict, bool, str], list[str]] = {}
    for result in run.cells:
        if result is not run.telling and result.verdict is not Verdict.CLEAN:
            kind = (result.verdict, result.accepted, result.why.rstrip("."))
            same.setdefault(kind, []).append(result.cell.id)
    for (verdict, accepted, why), ids in same.items():
        as_planned = ", as the plan accepts" if accepted else ""
        screen.prose(f"{', '.join(ids)}: ", coloured(verdict), f"{as_planned}: {why}.")
    clean = next((each for each in run.cells if each.verdict is Verdict.CLEAN), None)
    if clean and run.verdict is Verdict.SKIPPED:
        screen.prose(f"{clean.cell.id}: ", coloured(clean.verdict), f": {cell_meaning(clean)}")


def _chosen_periods(run: RunResult) -> dict[str, list[str]]:
    """Return the periods that `auto` chose, in words, each with the ids of its cells."""
    found: dict[str, list[str]] = {}
    for result in run.cells:
        counts = result.counts
        if result.cell.period_ns is None and counts.period_ns is not None:
            words = in_words(counts.period_ns, counts.periods_tried)
            found.setdefault(words, []).append(result.cell.id)
    return found


def print_end(screen: Screen, run: RunResult) -> None:
    """Print whether a run was interrupted, and where its journal and evidence are."""
    if run.interrupted is not None:
        screen.prose(
            f"The run has not ended: {run.interrupted}. The verdicts are based on the trials "
            "until then.",
            style="yellow",
        )
    for place, what in ((JOURNAL, "journal"), (EVIDENCE, "evidence")):
        path = run.journal.with_name(place)
        if path.exists():
            screen.line(f"{what}: {path}")


def coloured(verdict: Verdict) -> Styled:
    """Return a verdict in its colour."""
    return Styled(verdict, _STYLES[verdict])


def _row(result: CellResult) -> tuple[str | Styled, ...]:
    lost = result.counts.outcomes[Outcome.LOST]
    return (
        result.cell.id,
        coloured(result.verdict),
        str(result.counts.trials),
        f"{lost}{went_wrong(result)}",
        loss_rate(result),
        first_tick_with_time(result),
        controls_seen(result),
    )
