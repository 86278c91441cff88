"""A direct test on the page."""

from orchestrator.results.outputs.html.matrix import lab_matrix
from orchestrator.results.outputs.html.numbers import count, duration, percent
from orchestrator.results.outputs.html.run_view import Parts
from orchestrator.results.outputs.html.view import CellView, Table
from orchestrator.results.report import Report
from orchestrator.results.sentence import sentence
from orchestrator.verdict.direct import DirectResult, HostResult, SeriesResult


def direct_parts(report: Report, result: DirectResult, id_: str) -> tuple[Parts, Table | None]:
    """Return what the page shows of a direct test, and its losses by the restored count."""
    links = {host.name: f"{id_}-cell{number}" for number, host in enumerate(result.hosts, 1)}
    cells = [
        CellView(
            id=links[host.name],
            name=host.name,
            verdict=host.verdict,
            meaning=sentence(host.why),
            expected=case.expected,
            counts=_series(host),
            facts=[("exposure", f"{host.exposure.state}: {host.exposure.why}")],
            opened=len(result.hosts) == 1,
        )
        for host, case in zip(result.hosts, report.cases, strict=True)
    ]
    parts = Parts(
        cells=cells,
        columns=frozenset({"expected"} if any(each.expected for each in cells) else ()),
        matrix=lab_matrix(report, links),
        figures=(),
        hangs=(),
        statement="",
        words=(),
        left_out=(
            f"The result of each of {count(sum(each.trials for each in report.cases), 'trial')}: "
            "a direct test only counts them.",
        ),
    )
    return parts, _by_count(result)


def _by_count(result: DirectResult) -> Table | None:
    """Return the losses of each host by the count that was restored."""
    counts = dict.fromkeys(s.series.tmcct_ns for host in result.hosts for s in host.series)
    if not counts:
        return None
    rows = []
    for host in result.hosts:
        lost = {s.series.tmcct_ns: f"{s.series.lost:,}" for s in host.series}
        rows.append((host.name, *(lost.get(each, "") for each in counts)))
    numbers = frozenset(range(1, len(counts) + 1))
    return Table(("timers lost, by time left", *map(duration, counts)), rows, numbers)


def _series(host: HostResult) -> Table | None:
    if not host.series:
        return None
    rows = [_row(duration(each.series.tmcct_ns), each) for each in host.series]
    if host.control:
        rows.append(_row("control", host.control))
    return Table(
        ("time left", "timers", "lost", "loss rate", "tick after"), rows, frozenset({1, 2, 3, 4})
    )


def _row(name: str, found: SeriesResult) -> tuple[str, ...]:
    series, rate = found.series, found.loss_rate
    if series.lost:
        words = f"{percent(rate.low)} to {percent(rate.high)}"
    else:
        words = f"below {percent(rate.high)}"
    ticked = series.lost < series.trials
    after = duration(series.mean_ns) if ticked else "never"
    return name, f"{series.trials:,}", f"{series.lost:,}", words, after
