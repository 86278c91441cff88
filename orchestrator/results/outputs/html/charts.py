"""The charts, as Vega-Lite specifications over numbers that are binned already."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.findings.outcome import Outcome
from orchestrator.results.outputs.html.palette import COLOURS, outcome_colour

Spec = dict[str, Any]

#: Width of a chart with its labels, and the least width of its area. A chart fits a phone.
_WIDTH, _LEAST_WIDTH = 345, 180

#: Width of a character of a label, and of the gap beside it.
_CHARACTER, _GAP = 6.2, 12

#: Longest label of a row, in pixels.
_LONGEST = 150

#: Height of a row of a chart.
_ROW = 22

#: Least opacity of a bin that is not empty.
_FAINT = 0.25

_CONFIG = {
    "background": None,
    "aria": False,
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal",
        "labelLimit": _LONGEST, "grid": False, "tickSize": 4, "domain": False,
    },
    "axisX": {"domain": True, "labelFlush": True, "labelOverlap": True, "tickCount": 4},
    "axisY": {"ticks": False, "labelPadding": 6},
}  # fmt: skip


def loss_rates(rows: Sequence[tuple[str, str, float, float, float | None]]) -> Spec:
    """Return the chart of loss rates with their intervals.

    Args:
        rows: for each cell its name, the name of its colour, the ends of the interval, and the
            estimate; None if no load was lost.
    """
    lowest = min((high for _, _, _, high, _ in rows if high > 0), default=1.0)
    lowest = min(lowest, 0.01)
    floor = 10.0 ** (math.floor(math.log10(lowest)) - 1)
    values = [
        {
            "row": name, "colour": COLOURS[colour], "low": max(low, floor) * 100,
            "high": max(high, floor) * 100,
            "at": None if estimate is None else max(estimate, floor) * 100,
            "end": high * 100 if estimate is None else None,
        }
        for name, colour, low, high, estimate in rows
    ]  # fmt: skip
    powers = [10.0**power * 100 for power in range(round(math.log10(floor)), 1)]
    scale = {"type": "log", "domain": [floor * 100, 100], "nice": False}
    axis = {"title": "loss rate in %", "values": powers, "format": "~g", "grid": True}
    colour = {"field": "colour", "type": "nominal", "scale": None}
    y = _rows()

    def x(field: str) -> Spec:
        return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}

    def layer(mark: Spec, **encoding: Spec) -> Spec:
        return {"mark": mark, "encoding": {"y": y, "color": colour, **encoding}}

    return _chart(
        values,
        {
            "layer": [
                layer({"type": "bar", "height": 7, "opacity": 0.45}, x=x("low"),
                      x2={"field": "high"}),
                layer({"type": "tick", "size": 15, "thickness": 3}, x=x("end")),
                layer({"type": "point", "filled": True, "size": 70, "opacity": 1}, x=x("at")),
            ]
        },
        len(rows),
    )  # fmt: skip


def latencies(
    rows: Sequence[str],
    bins: Sequence[tuple[str, float, float, float]],
    medians: Mapping[str, float],
) -> Spec:
    """Return the chart of the times to the first tick, on a logarithmic scale.

    Args:
        rows: the names of the cells.
        bins: for each bin of a cell the cell's name, both ends in milliseconds, and the number
            of its ticks as a share of the fullest bin's, from 0 to 1.
        medians: the median of each cell, in milliseconds.
    """
    values: list[Spec] = [
        {"row": row, "from": low, "to": high, "shade": _shade(share)}
        for row, low, high, share in bins
    ]
    values += [{"row": row, "median": medians[row]} for row in rows if row in medians]
    low = min(low for _, low, _, _ in bins)
    high = max(high for _, _, high, _ in bins)
    scale = {"type": "log", "domain": [low, high], "nice": False}
    axis = {"title": "ms from the load to the first tick", "format": "~g"}

    def x(field: str) -> Spec:
        return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}

    rect = {"type": "rect", "height": 14, "color": COLOURS["normal"]}
    tick = {"type": "tick", "size": 18, "thickness": 2, "color": COLOURS["line"]}
    encoded = {"y": _rows(rows), "x": x("from"), "x2": {"field": "to"}, "opacity": _opacity()}
    return _chart(
        values,
        {
            "layer": [
                {"mark": rect, "encoding": encoded},
                {"mark": tick, "encoding": {"y": _rows(rows), "x": x("median")}},
            ]
        },
        len(rows),
    )


def outcomes(
    bins: Sequence[tuple[Outcome, float, float, float]], title: str, ends: tuple[float, float]
) -> Spec:
    """Return a chart of the outcomes along something: a row for each outcome.

    Args:
        bins: for each bin of an outcome both ends, and the share of the bin's trials with the
            outcome, from 0 to 1.
        title: what the bins run along.
        ends: the first and the last value.
    """
    rows = list(dict.fromkeys(str(outcome) for outcome, *_ in bins))
    values = [
        {
            "row": str(outcome), "from": low, "to": high, "shade": _shade(share),
            "colour": outcome_colour(outcome),
        }
        for outcome, low, high, share in bins
    ]  # fmt: skip
    scale = {"type": "linear", "domain": list(ends), "nice": False, "zero": False}
    x = {"field": "from", "type": "quantitative", "scale": scale, "axis": {"title": title}}
    return _chart(
        values,
        {
            "mark": {"type": "rect", "height": 14},
            "encoding": {
                "y": _rows(rows), "x": x, "x2": {"field": "to"}, "opacity": _opacity(),
                "color": {"field": "colour", "type": "nominal", "scale": None},
            },
        },
        len(rows),
    )  # fmt: skip


def _shade(share: float) -> float:
    """Return the opacity of a bin: a single loss among thousands must still be seen."""
    return round(_FAINT + (1 - _FAINT) * share, 2)


def _opacity() -> Spec:
    return {"field": "shade", "type": "quantitative", "scale": None}


def _rows(names: Sequence[str] | None = None) -> Spec:
    sort = list(names) if names is not None else None
    return {"field": "row", "type": "nominal", "sort": sort, "title": None}


def _chart(values: Sequence[Spec], drawn: Spec, rows: int) -> Spec:
    longest = max((len(each["row"]) for each in values), default=0)
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "config": _CONFIG,
        "width": max(_WIDTH - min(longest * _CHARACTER, _LONGEST) - _GAP, _LEAST_WIDTH),
        "height": max(rows, 1) * _ROW,
        "data": {"values": list(values)},
        **drawn,
    }
