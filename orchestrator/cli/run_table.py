"""The table of a finished run."""

from collections.abc import Sequence

from orchestrator.cli.screen import Screen
from orchestrator.cli.table import Table
from orchestrator.cli.text import Styled
from orchestrator.findings.outcome import CAME, Outcome
from orchestrator.findings.period import in_words
from orchestrator.journal.file import JOURNAL
from orchestrator.journal.recorder import EVIDENCE
from orchestrator.results.hosts import other_hosts
from orchestrator.results.meaning import cell_meaning, explained, meaning
from orchestrator.results.summary import spread
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


def interval(result: CellResult) -> str:
    """Return the interval of a cell's loss rate, in words."""
    rate, saves = result.rate, result.rate.over_saves
    if not result.counts.trials:
        return "-"
    if not result.counts.outcomes[Outcome.LOST]:
        return f"< {rate.high:.2%}"
    words = f"{rate.low:.2%} to {rate.high:.2%}"
    if rate.per == "save":
        return f"{words} of saves"
    return words + (f"; of saves {saves.low:.2%} to {saves.high:.2%}" if saves else "")


def first_tick(result: CellResult) -> str:
    """Return when the first tick came, in words: the outcome that most loads with a tick had."""
    counts = result.counts
    came = {kind: count for kind, count in result.classes.items() if kind in CAME}
    if came:
        return str(max(came, key=lambda kind: (came[kind], kind.ticked)))
    if not counts.trials or counts.outcomes[Outcome.UNKNOWN] == counts.trials:
        return "-"
    return "came" if counts.first_tick_ms else "never"


def went_wrong(result: CellResult) -> str:
    """Return the outcomes of a cell that are neither normal ticks nor losses, as a list's end."""
    usual = (Outcome.LOST, Outcome.UNKNOWN)
    counts = result.classes.most_common()
    return "".join(f", {n} {kind}" for kind, n in counts if not kind.ticked and kind not in usual)


def controls_seen(result: CellResult) -> str:
    """Return how many of a cell's controls were seen, in words."""
    seen = sum(control.seen for control in result.counts.controls)
    return f"{seen} of {result.counts.controls_begun} seen"


def _row(result: CellResult) -> tuple[str | Styled, ...]:
    counts, rate = result.counts, result.rate
    lost = counts.outcomes[Outcome.LOST]
    first = spread(counts.first_tick_ms)
    estimate = "-" if rate.estimate is None else f"{rate.estimate:.3%}"
    return (
        result.cell.id,
        coloured(result.verdict),
        str(counts.trials),
        f"{lost}{went_wrong(result)}",
        f"{estimate} ({interval(result)})" if lost else interval(result),
        first_tick(result) + (f", {first['median']:.1f} ms" if first else ""),
        controls_seen(result),
    )
