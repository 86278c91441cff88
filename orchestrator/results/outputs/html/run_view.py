"""A run on the page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.findings.outcome import Outcome
from orchestrator.findings.period import in_words
from orchestrator.results.columns import controls_seen, first_tick_with_time
from orchestrator.results.meaning import explained
from orchestrator.results.outputs.html import figures
from orchestrator.results.outputs.html.hang import hang_view
from orchestrator.results.outputs.html.matrix import cell_matrix, lab_matrix
from orchestrator.results.outputs.html.numbers import count, odd_counts, rate_words
from orchestrator.results.outputs.html.trials import CellTrials, pick_hangs, read_trials
from orchestrator.results.outputs.html.view import CellView, Figure, HangView, Matrix, Table
from orchestrator.results.report import Report
from orchestrator.results.short_names import short_names
from orchestrator.results.words import CAUSES, OUTCOMES
from orchestrator.verdict.run import CellResult, RunResult
from orchestrator.verdict.verdict import Verdict

#: Most cells in a chart of all cells.
_MOST_ROWS = 40

#: Most cells that the page describes one by one.
_MOST_CELLS = 200

#: Characters of a cell's name in a chart.
_ROOM = 24


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a run the page may hold."""

    hangs: int
    charted: int
    text: int
    """Characters of registers, consoles and the like, of all hangs together."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the page that only a run has."""

    cells: Sequence[CellView]
    columns: frozenset[str]
    matrix: Matrix | None
    figures: Sequence[Figure]
    hangs: Sequence[HangView]
    statement: str
    words: Sequence[tuple[str, str]]
    left_out: Sequence[str]


def run_parts(
    report: Report, run: RunResult, id_: str, draw: figures.Draughtsman, limits: Limits,
    target: Path | None,
) -> Parts:  # fmt: skip
    """Return what the page shows of a run.

    Args:
        report: the run.
        run: its result.
        id_: the id of the run on the page.
        draw: draws the charts.
        limits: how much of the run the page may hold.
        target: the file that will hold the page; None for standard output.
    """
    trials = read_trials(run.journal, {each.cell.id: each.counts.trials for each in run.cells})
    grave = sorted(run.cells, key=lambda each: list(Verdict).index(each.verdict))
    links = {each.cell.id: f"{id_}-cell{n}" for n, each in enumerate(grave[:_MOST_CELLS], 1)}
    names = _names(run.cells)
    counted = [each for each in grave if each.counts.trials][:_MOST_ROWS]
    overview = []
    if counted and draw.left > 1:
        overview = [figures.rates(draw, counted, names)]
        overview += [found] if (found := figures.first_ticks(draw, counted, names)) else []
    cells = list(_cells(grave, trials, links, draw, limits.charted, report))
    hangs = list(_hangs(report, trials, names, id_, limits, target))
    in_lab = any(each.lab for each in run.cells)
    return Parts(
        cells=cells,
        columns=frozenset({"expected"} if any(each.expected for each in cells) else ()),
        matrix=lab_matrix(report, links) if in_lab else cell_matrix(run, links),
        figures=overview,
        hangs=hangs,
        statement=run.statement if len(run.cells) > 1 else "",
        words=list(_words(run)),
        left_out=list(_left_out(report, grave, trials, hangs, counted, cells)),
    )


def _names(cells: Sequence[CellResult]) -> Mapping[str, str]:
    """Return a short name of each cell for charts."""
    ids = [each.cell.id for each in cells]
    return short_names(ids, _ROOM) if len(ids) > 1 else dict.fromkeys(ids, "this cell")


def _cells(
    cells: Sequence[CellResult], trials: Mapping[str, CellTrials], links: Mapping[str, str],
    draw: figures.Draughtsman, charted: int, report: Report,
) -> Iterator[CellView]:  # fmt: skip
    cases = {case.name: case for case in report.cases}
    for number, result in enumerate(cells[:_MOST_CELLS]):
        own: list[Figure | None] = []
        if number < charted and draw.left >= 2:
            own = [
                figures.along_trials(draw, trials[result.cell.id]),
                figures.by_phase(draw, result),
            ]
        counts, case = result.counts, cases[result.cell.id]
        lost = counts.outcomes[Outcome.LOST]
        odd = odd_counts({str(name): n for name, n in result.classes.items()})
        first_tick = first_tick_with_time(result)
        yield CellView(
            id=links[result.cell.id],
            name=result.cell.id,
            verdict=result.verdict,
            meaning=case.meaning if len(cells) > 1 else "",
            loads=f"{counts.trials:,}",
            lost=f"{lost:,}" + (f", {odd}" if odd else ""),
            rate=rate_words(result.rate, lost, counts.trials) or "not known",
            first_tick=first_tick if first_tick != "-" else "not known",
            controls=controls_seen(result),
            expected=case.expected,
            counts=_counts(result),
            facts=list(_facts(result)),
            figures=[each for each in own if each],
            opened=len(cells) == 1 or (result.verdict is not Verdict.CLEAN and number < 4),
        )


def _counts(result: CellResult) -> Table:
    """Return the outcomes and causes of a cell, in words."""
    rows = [
        (str(name), f"{n:,}", OUTCOMES[name]) for name, n in result.classes.most_common() if n
    ] + [(str(name), f"{n:,}", CAUSES[name]) for name, n in result.counts.causes.most_common()]
    return Table(("outcome or cause", "loads", "meaning"), rows, frozenset({1}))


def _facts(result: CellResult) -> Iterator[tuple[str, str]]:
    counts, lab = result.counts, result.lab
    if lab:
        yield "kernel", f"{lab.version} ({lab.kernel}), variant {lab.variant}"
        yield "emulator", lab.emulator
        if lab.counters:
            yield "counted by the kernel", ", ".join(f"{k} {v:,}" for k, v in lab.counters.items())
    if result.cell.period_ns is None and counts.period_ns is not None:
        yield "period", in_words(counts.period_ns, counts.periods_tried)
    yield "exposure", f"{result.exposure.state}: {result.exposure.why}"
    yield "saves", f"{counts.saves:,}, of which {counts.lossy_saves:,} lost a load"
    if counts.unknown_attempts:
        yield (
            "attempts",
            (f"{counts.attempts:,}, of which losttick could not judge {counts.unknown_attempts:,}"),
        )
    for control in counts.controls:
        if not control.seen:
            yield "control not seen", control.sentence or str(control.outcome)
    for said in result.witnesses:
        yield f"second witness: {said.witness}", f"{said.says}: {said.why}"


def _hangs(
    report: Report, trials: Mapping[str, CellTrials], names: Mapping[str, str], id_: str,
    limits: Limits, target: Path | None,
) -> Iterator[HangView]:  # fmt: skip
    before = None
    picked = list(pick_hangs(trials, limits.hangs))
    for number, (cell, hang) in enumerate(picked, 1):
        first, before = cell != before, cell
        yield hang_view(
            report.folder, cell, hang, f"{id_}-hang{number}", target,
            text=limits.text // len(picked), opened=first,
        )  # fmt: skip


def _words(run: RunResult) -> Iterator[tuple[str, str]]:
    said = {name: text for each in run.cells for name, text in explained(each).items()}
    yield from said.items()


def _left_out(
    report: Report, cells: Sequence[CellResult], trials: Mapping[str, CellTrials],
    hangs: Sequence[HangView], rows: Sequence[CellResult], shown: Sequence[CellView],
) -> Iterator[str]:  # fmt: skip
    """Yield what the page leaves out, and where it is."""
    total = sum(each.counts.trials for each in cells)
    journal = report.shown_folder / report.result.journal.name
    if total:
        yield (
            f"The {count(total, 'trial')}, each with its save: charts and tables count them. "
            f"Each is a line of {journal}."
        )
    with_evidence = sum(each.with_evidence for each in trials.values())
    if with_evidence > len(hangs):
        yield (
            f"{with_evidence - len(hangs):,} of {count(with_evidence, 'trial')} with evidence. "
            f"The folder of each is in {report.shown_folder / 'evidence'}."
        )
    if with_evidence:
        yield "Parts of long logs of the trials that are shown: the folder of each has all of them."
    if len(rows) < sum(1 for each in cells if each.counts.trials):
        yield f"All but {len(rows)} cells in the charts of all cells; the gravest are shown."
    charted = sum(1 for each in shown if each.figures)
    if charted < sum(1 for each in shown if each.loads != "0"):
        yield f"The charts of all but {charted} cells."
    if len(shown) < len(cells):
        yield (
            f"{len(cells) - len(shown):,} of {len(cells):,} cells, none graver than those that "
            f"are shown: `losttick show {report.shown_folder}` lists all."
        )
