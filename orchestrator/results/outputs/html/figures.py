"""The charts of a run, each with the same numbers as a table."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import vl_convert

from orchestrator.findings.outcome import Outcome
from orchestrator.results.outputs.html import charts
from orchestrator.results.outputs.html.numbers import percent, rate_words
from orchestrator.results.outputs.html.svg import inline
from orchestrator.results.outputs.html.trials import ORDER, CellTrials
from orchestrator.results.outputs.html.view import Figure, Table
from orchestrator.results.summary import spread
from orchestrator.verdict.run import CellResult

#: Bins of a latency chart for each factor of ten.
_BINS_A_DECADE = 16

#: Shortest time of a latency chart, in milliseconds: nothing is measured more exactly.
_SHORTEST_MS = 0.01


class Draughtsman:
    """Draws charts, and gives each one ids of its own. At most so many are drawn."""

    def __init__(self, most: int) -> None:
        self.left = most
        """Charts that may still be drawn."""
        self._drawn = 0

    def draw(
        self, title: str, caption: str, description: str, spec: charts.Spec, table: Table
    ) -> Figure:
        """Return a chart, with its numbers as a table."""
        self.left -= 1
        self._drawn += 1
        document = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
        svg = inline(document, f"chart{self._drawn}", title, description)
        return Figure(title, caption, svg, table)


def rates(draw: Draughtsman, cells: Sequence[CellResult], names: Mapping[str, str]) -> Figure:
    """Return the chart of loss rates with their intervals."""
    rows, table = [], []
    for cell in cells:
        rate, name = cell.rate, names[cell.cell.id]
        lost, trials = cell.counts.outcomes[Outcome.LOST], cell.counts.trials
        table.append((name, f"{lost:,}", f"{trials:,}", rate_words(rate, lost, trials)))
        rows.append((name, str(cell.verdict), rate.low, rate.high, rate.estimate if lost else None))
    confidence = percent(cells[0].rate.confidence)
    return draw.draw(
        "Loss rates",
        f"A dot is a measured loss rate, the bar its interval. A bar that ends in a line is a "
        f"bound: no load was lost, and higher rates are ruled out. Each end holds at {confidence}.",
        "Loss rate of each cell with its interval, on a logarithmic scale.",
        charts.loss_rates(rows),
        Table(("cell", "lost", "loads", "loss rate"), table, frozenset({1, 2})),
    )


def first_ticks(
    draw: Draughtsman, cells: Sequence[CellResult], names: Mapping[str, str]
) -> Figure | None:
    """Return the chart of the times to the first tick; None if no tick came."""
    times = {names[c.cell.id]: np.asarray(c.counts.first_tick_ms) for c in cells}
    times = {name: np.maximum(found, _SHORTEST_MS) for name, found in times.items() if found.size}
    if not times:
        return None
    low = min(np.floor(np.log10(found.min()) * 4) / 4 for found in times.values())
    high = max(np.ceil(np.log10(found.max()) * 4 + 0.01) / 4 for found in times.values())
    edges = np.logspace(low, high, max(2, round((high - low) * _BINS_A_DECADE)) + 1)
    bins, medians, table = [], {}, []
    for name, found in times.items():
        shares = np.histogram(found, edges)[0]
        shares = shares / shares.max()
        bins += [
            (name, round(float(edges[n]), 4), round(float(edges[n + 1]), 4), float(share))
            for n, share in enumerate(shares)
            if share
        ]
        told = spread([float(each) for each in found]) or {}
        medians[name] = told["median"]
        ends = f"{found.min():.2f} to {found.max():.2f}"
        table.append((name, f"{found.size:,}", f"{told['median']:.2f}", f"{told['p99']:.2f}", ends))
    return draw.draw(
        "First tick after a load",
        "The darker a time, the more first ticks came after it. The line is the median.",
        "Time from the load of a snapshot to the first tick, by cell, on a logarithmic scale.",
        charts.latencies(list(times), bins, medians),
        Table(
            ("cell", "ticks", "median ms", "99 % within ms", "range ms"),
            table,
            frozenset({1, 2, 3, 4}),
        ),
    )


def along_trials(draw: Draughtsman, trials: CellTrials) -> Figure | None:
    """Return the chart of a cell's outcomes along its trials; None if it has none."""
    if not trials.bins:
        return None
    size = trials.bin_size
    begins = [(n * size, min((n + 1) * size, trials.done)) for n in range(len(trials.bins))]
    return draw.draw(
        "Outcomes along the trials",
        "From the first trial at the left to the last one at the right: whether faults came in "
        "bursts.",
        "A row for each outcome; darker where more of the trials had the outcome.",
        charts.outcomes(
            list(_bins(trials.bins, begins)), "number of the trial", (0, max(trials.done, 1))
        ),
        _table("trials", trials.bins, [f"{low + 1:,} to {high:,}" for low, high in begins]),
    )


def by_phase(draw: Draughtsman, cell: CellResult) -> Figure | None:
    """Return the chart of a cell's outcomes by the phase of the save; None if it has none."""
    bins = [found for found in cell.counts.phases.bins if found.trials]
    if not bins:
        return None
    ends = [(found.low, found.high) for found in bins if not found.expired]
    drawn = [found.outcomes for found in bins if not found.expired]
    if not ends:
        return None
    places = [
        f"{found.low:g} to {found.high:g}" + (", expired" if found.expired else "")
        for found in bins
    ]
    return draw.draw(
        "Outcomes by the phase of the save",
        "Where in the timer's period the guest was saved: 0 is just after a tick, 1 the next one.",
        "A row for each outcome; darker where more of the loads had the outcome.",
        charts.outcomes(list(_bins(drawn, ends)), "part of the period", (0, 1)),
        _table("phase", [found.outcomes for found in bins], places),
    )


def _bins(
    counted: Sequence[Counter[Outcome]], ends: Sequence[tuple[float, float]]
) -> Iterator[tuple[Outcome, float, float, float]]:
    """Yield the bins of each outcome with its share; neighbours that are alike as one."""
    for outcome in ORDER:
        last: tuple[float, float, float] | None = None
        for found, (low, high) in zip(counted, ends, strict=True):
            share = round(found[outcome] / max(found.total(), 1), 2)
            if found[outcome] and share == 0:
                share = 0.01
            if last and share == last[2] and low == last[1]:
                last = (last[0], high, share)
                continue
            if last and last[2]:
                yield outcome, *last
            last = (low, high, share)
        if last and last[2]:
            yield outcome, *last


def _table(of: str, counted: Sequence[Counter[Outcome]], places: Sequence[str]) -> Table:
    """Return the counts as a table."""
    shown = [outcome for outcome in ORDER if any(found[outcome] for found in counted)]
    rows = [
        (place, *(f"{found[outcome]:,}" for outcome in shown))
        for place, found in zip(places, counted, strict=True)
    ]
    return Table((of, *map(str, shown)), rows, frozenset(range(1, len(shown) + 1)))
