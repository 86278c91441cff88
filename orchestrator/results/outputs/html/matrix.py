"""Verdicts as a matrix: of the cells of a run, of the arms of a lab, and of several runs."""

from collections.abc import Mapping, Sequence

from orchestrator.findings.lab import LabIdentity
from orchestrator.findings.outcome import Outcome
from orchestrator.plan.cell import Cell, differing
from orchestrator.results.outputs.html.view import Mark, Matrix
from orchestrator.results.report import Case, Report
from orchestrator.results.run_names import run_names
from orchestrator.verdict.run import RunResult

#: Most columns of a matrix of cells.
_MOST_COLUMNS = 4


def cell_matrix(result: RunResult, links: Mapping[str, str]) -> Matrix | None:
    """Return the verdicts of a run's cells by the axes that vary; None if there is one cell.

    If an axis has few values, they are the columns.
    """
    cells = [each.cell for each in result.cells]
    differ = dict.fromkeys(name for cell in cells for name in differing(cells[0], cell))
    axes = [name for name in differ if name != "host"]
    if not axes:
        return None
    values = {name: list(dict.fromkeys(_said(cell, name) for cell in cells)) for name in axes}
    few = [name for name in axes if len(values[name]) <= _MOST_COLUMNS]
    across = max(few, key=lambda name: len(values[name])) if few and len(axes) > 1 else None
    down = [name for name in axes if name != across]
    columns = values[across] if across else ["verdict"]
    rows: dict[str, list[Mark | None]] = {}
    for each in result.cells:
        row = " · ".join(_said(each.cell, name) for name in down)
        place = columns.index(_said(each.cell, across)) if across else 0
        rows.setdefault(row, [None] * len(columns))[place] = Mark(
            each.verdict, _lost(each.counts.outcomes[Outcome.LOST], each.counts.trials),
            link=links.get(each.cell.id, ""), name=each.cell.id,
        )  # fmt: skip
    return Matrix("Verdicts", " · ".join(map(_axis, down)), columns, list(rows.items()))


def _axis(name: str) -> str:
    return {"period_ns": "period"}.get(name, name.replace("_", " "))


def _said(cell: Cell, name: str) -> str:
    """Return the value of an axis for a person."""
    value = getattr(cell, name)
    match name:
        case "period_ns":
            return "auto period" if value is None else f"{value / 1e6:.10g} ms"
        case "vcpus":
            return f"{value} vCPU{'s' if value > 1 else ''}"
        case "loads_per_save":
            return f"{value} load{'s' if value > 1 else ''} a save"
        case "memory_mib":
            return f"{value} MiB"
        case "phase":
            return f"phase {value}"
        case "irqchip":
            return f"irqchip {value}"
    return str(value) or f"no {_axis(name)}"


def lab_matrix(report: Report, links: Mapping[str, str]) -> Matrix | None:
    """Return the verdicts of a lab's arms: kernels by rows, and edits by columns.

    None if a cell of the matrix would have to hold several verdicts, as with several timers.
    """
    labs = [(case.lab, case) for case in report.cases if case.lab]
    columns = list(dict.fromkeys(_edit(lab) for lab, _ in labs))
    rows: dict[str, list[Mark | None]] = {}
    for lab, case in labs:
        row, place = rows.setdefault(_kernel(lab), [None] * len(columns)), columns.index(_edit(lab))
        if row[place] is not None:
            return None
        text = _lost(case.lost, case.trials)
        row[place] = Mark(case.verdict, text, case.expected, links.get(case.name, ""), case.name)
    if not rows:
        return None
    return Matrix(
        "Kernels",
        "kernel",
        columns,
        list(rows.items()),
        "The answer of an edited kernel is known before. If it comes out as it must, the lab "
        "would have seen the bug in the untouched kernel, too.",
    )


def _kernel(lab: LabIdentity) -> str:
    return lab.label or lab.version


def _edit(lab: LabIdentity) -> str:
    return lab.variant + ("" if lab.apicv else ", no APICv")


def comparison(
    reports: Sequence[Report], links: Sequence[str]
) -> tuple[Matrix, Sequence[tuple[str, str]]]:
    """Return several runs by their cells, and what the numbers of its columns stand for.

    The fewer ones, runs or cells, are the columns, so that the table fits a narrow page.
    """
    ids = list(dict.fromkeys(case.name for report in reports for case in report.cases))
    by_name = [{case.name: case for case in report.cases} for report in reports]
    names = [
        _with_kernel(name, each) for name, each in zip(run_names(reports), reports, strict=True)
    ]
    whole: list[Mark | None] = [
        Mark(report.verdict, link=link, name=f"{name}, the whole run")
        for report, link, name in zip(reports, links, names, strict=True)
    ]
    marks = [
        [_of_case(cases.get(each), link) for cases, link in zip(by_name, links, strict=True)]
        for each in ids
    ]
    if len(ids) < len(reports):
        rows = [
            (name, [mark, *(found[number] for found in marks)])
            for number, (name, mark) in enumerate(zip(names, whole, strict=True))
        ]
        legend = [(str(number), each) for number, each in enumerate(ids, 1)]
        caption = "The column `all` is the whole run. Each number is a cell. Hatched: no such cell."
        columns = ["all", *(number for number, _ in legend)]
        return Matrix("Runs by cells", "run", columns, rows, caption, dense=True), legend
    rows = [("whole run", whole), *zip(ids, marks, strict=True)]
    legend = [(str(number), each) for number, each in enumerate(names, 1)]
    columns = [number for number, _ in legend]
    caption = "Each number is a run. Hatched: the run has no such cell."
    return Matrix("Runs by cells", "cell", columns, rows, caption, dense=True), legend


def _of_case(case: Case | None, link: str) -> Mark | None:
    if case is None:
        return None
    return Mark(case.verdict, expected=case.expected, link=link, name=case.name)


def _with_kernel(name: str, report: Report) -> str:
    """Return the name of a run in a comparison, with its kernel."""
    kernel = "" if report.command.startswith("lab") or not report.facts else report.facts.kernel
    return f"{name} · {kernel}" if kernel else name


def _lost(lost: int, trials: int) -> str:
    return f"{lost:,} of {trials:,} lost" if trials else ""
