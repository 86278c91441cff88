"""Markdown to paste into a bug report or a mail: what was found, on which host, and one hang."""

from collections.abc import Iterator, Sequence

from orchestrator.results.columns import (
    controls_seen,
    first_tick_with_time,
    loss_rate,
    went_wrong,
)
from orchestrator.results.explain import Reader, explain
from orchestrator.results.explanation.text import Commands, Excerpt, Section
from orchestrator.results.outputs.markdown_text import (
    block,
    cell_code,
    code,
    paragraph,
    table,
    text,
)
from orchestrator.results.outputs.output import Output, OutputOptions
from orchestrator.results.report import Case, Report
from orchestrator.results.sentence import sentence
from orchestrator.verdict.direct import HostResult
from orchestrator.verdict.run import CellResult

#: Sections of the explanation for a developer that this form says in its own way.
_OWN = ("", "Counted")

_CELLS = ("cell", "verdict", "loads", "lost", "loss rate", "first tick", "controls")

_HOSTS = ("host", "verdict", "timers", "lost", "by current count")


class _Markdown:
    """Markdown."""

    def render(self, reports: Sequence[Report], options: OutputOptions) -> bytes:
        """Return the reports, one after the other."""
        parts = [part for report in reports for part in _report(report)]
        return ("\n\n".join(parts) + "\n").encode()


OUTPUT: Output = _Markdown()


def _report(report: Report) -> Iterator[str]:
    yield heading(report)
    yield from opening(report)
    yield cases_table(report.cases)
    for section in explain(report, Reader.DEVELOPER):
        if section.heading not in _OWN:
            yield from _section(section)
    seed = "" if report.seed is None else f", seed {report.seed}"
    folder = code(str(report.shown_folder))
    yield f"Made by losttick {text(report.losttick)}{seed}; journal: {folder}"


def heading(report: Report) -> str:
    """Return the heading of a run: the command and its verdict."""
    return f"## losttick {report.command}: {report.verdict}"


def opening(report: Report) -> Iterator[str]:
    """Yield what was found, and whether the run came to its end."""
    yield paragraph(sentence(report.meaning))
    if report.interrupted is not None:
        yield f"**The run has not ended:** {text(report.interrupted)}."
    if report.went_down and report.went_down not in (report.interrupted or ""):
        yield f"**The host went down** {text(report.went_down)}."


def cases_table(cases: Sequence[Case]) -> str:
    """Return the table of cells, or of the hosts of a direct test."""
    if any(isinstance(case.result, HostResult) for case in cases):
        return table(_HOSTS, map(_host_row, cases))
    return table(_CELLS, map(_cell_row, cases))


def _cell_row(case: Case) -> Sequence[str]:
    result, lost = case.result, str(case.lost)
    counted = ("-", "-", "-")
    if isinstance(result, CellResult):
        lost += went_wrong(result)
        counted = loss_rate(result), first_tick_with_time(result), controls_seen(result)
    return (
        cell_code(case.name),
        _verdict(case),
        str(case.trials),
        text(lost),
        *map(text, counted),
    )


def _host_row(case: Case) -> Sequence[str]:
    series: Sequence[str] = ()
    if isinstance(case.result, HostResult):
        found = (each.series for each in case.result.series)
        series = [f"{each.lost} at {each.tmcct_ns} ns" for each in found]
    return (
        cell_code(case.name),
        _verdict(case),
        str(case.trials),
        str(case.lost),
        text(", ".join(series) or "-"),
    )


def _verdict(case: Case) -> str:
    if case.expected is None:
        return str(case.verdict)
    return f"{case.verdict}, as it must" if case.verdict is case.expected else (
        f"{case.verdict}, where it must be {case.expected}"
    )  # fmt: skip


def _section(section: Section) -> Iterator[str]:
    yield f"### {text(section.heading)}"
    for part in section.blocks:
        match part:
            case Commands():
                yield block(part.lines, "sh")
            case Excerpt():
                yield block(part.lines)
            case str():
                yield paragraph(part)
