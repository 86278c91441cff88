"""The page of one or several runs."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.results.explain import first_paragraph
from orchestrator.results.outputs.html.direct_view import direct_parts
from orchestrator.results.outputs.html.figures import Draughtsman
from orchestrator.results.outputs.html.hosts import changed_while_away, differing_hosts, host_facts
from orchestrator.results.outputs.html.matrix import comparison
from orchestrator.results.outputs.html.numbers import day_and_time
from orchestrator.results.outputs.html.run_view import Limits, run_parts
from orchestrator.results.outputs.html.view import Page, RunView
from orchestrator.results.report import Report
from orchestrator.results.rerun import rerun
from orchestrator.results.run_names import run_names
from orchestrator.results.sentence import sentence
from orchestrator.verdict.direct import DirectResult

#: Most hangs, most charts, and most characters of registers, consoles and the like of a page.
MOST_HANGS = 16
MOST_CHARTS = 50
MOST_TEXT = 80_000

#: What precedes the answer of a run that has not ended.
_SO_FAR = "So far: "


def page(reports: Sequence[Report], target: Path | None) -> Page:
    """Return the page of some runs.

    Args:
        reports: the runs.
        target: the file that will hold the page; None for standard output.
    """
    draw = Draughtsman(MOST_CHARTS)
    several = len(reports) > 1
    links = [f"run{number}" for number in range(1, len(reports) + 1)]
    runs, hangs = [], MOST_HANGS
    names = run_names(reports)
    for number, (report, name, link) in enumerate(zip(reports, names, links, strict=True)):
        left = len(reports) - number
        limits = Limits(
            hangs=-(-hangs // left),
            charted=max(0, (draw.left // left - 2) // 2),
            text=MOST_TEXT // len(reports),
        )
        view = _run(report, name, link, draw, limits, target)
        hangs -= len(view.hangs)
        runs.append(view)
    compared, legend = comparison(reports, links) if several else (None, ())
    title = f"{len(runs)} runs" if several else f"{runs[0].verdict}: {runs[0].name}"
    return Page(title, runs, compared, legend)


def _run(
    report: Report, name: str, id_: str, draw: Draughtsman, limits: Limits, target: Path | None
) -> RunView:
    headline, answer = _answer(report)
    direct = None
    if isinstance(report.result, DirectResult):
        parts, direct = direct_parts(report, report.result, id_)
    else:
        parts = run_parts(report, report.result, id_, draw, limits, target)
    return RunView(
        id=id_,
        name=name,
        command=f"losttick {report.command}",
        verdict=report.verdict,
        headline=headline,
        answer=answer,
        meaning=sentence(report.meaning),
        details=list(_details(report)),
        notices=list(_notices(report)),
        cells=parts.cells,
        columns=parts.columns,
        matrix=parts.matrix,
        direct=direct,
        figures=parts.figures,
        hangs=parts.hangs,
        host=list(host_facts(report.facts)) if report.facts else (),
        differing=differing_hosts(report),
        rerun=rerun(report).split("\n"),
        left_out=parts.left_out,
        statement=parts.statement,
        words=parts.words,
    )


def _answer(report: Report) -> tuple[str, str]:
    """Return the answer's first sentence, and the others.

    A notice says that a run has not ended, so the answer does not begin with that.
    """
    whole = first_paragraph(report)
    first, _, others = (whole.partition(_SO_FAR)[2] or whole).partition(". ")
    return first.rstrip(".") + ".", others


def _details(report: Report) -> Iterator[tuple[str, str]]:
    if report.began_at:
        yield "began", day_and_time(report.began_at)
    if report.ended_at:
        yield "ended", day_and_time(report.ended_at)
    if report.losttick:
        yield "losttick", report.losttick
    if report.seed is not None:
        yield "seed", str(report.seed)
    yield "folder", str(report.shown_folder)


def _notices(report: Report) -> Iterator[str]:
    yield from report.changes
    if report.went_down:
        yield f"The host went down {report.went_down}."
    if report.interrupted is not None:
        yield (
            f"The run has not ended: {report.interrupted}. The verdicts are based on the trials "
            "until then."
        )
    if changed := changed_while_away(report):
        yield f"The host changed while this run was interrupted: {', '.join(changed)}."
