"""The page of the trend. What it needs is in the extra `report`."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.results.history.trend import CellTrend, Night, sentence
from orchestrator.results.outputs.html.numbers import percent
from orchestrator.results.outputs.html.template import fill

#: Nights of a cell that are drawn: the newest.
MOST_NIGHTS = 180


@dataclass(frozen=True, slots=True)
class Bar:
    """A night in a chart, in parts of its width and height."""

    x: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class CellView:
    """A cell on the page."""

    host: str
    cell: str
    sentences: list[str]
    bars: list[Bar]
    marks: list[float]
    """Places of changes."""
    scale: str
    """The loss rate at the top of the chart."""
    left_out: int
    """Older nights that are not drawn."""


def trend_page(found: Sequence[CellTrend]) -> bytes:
    """Return the page: cells that changed first."""
    ordered = sorted(found, key=lambda each: (not each.turns, each.host, each.cell))
    changed = sum(bool(each.turns) for each in found)
    return fill("trend.html", cells=[_view(each) for each in ordered], changed=changed)


def _view(found: CellTrend) -> CellView:
    shown = found.nights[-MOST_NIGHTS:]
    left_out = len(found.nights) - len(shown)
    top = max([*map(_rate, shown), 0.001])
    width = 600 / max(len(shown), 1)
    bars = [
        Bar(number * width, max(width * 0.8, 0.5), 60 * _rate(night) / top, _title(night))
        for number, night in enumerate(shown)
    ]
    marks = [(turn.change.at - left_out) * width for turn in found.turns]
    return CellView(
        found.host, found.cell, [sentence(found, turn) for turn in found.turns], bars,
        [each for each in marks if each >= 0], percent(top), left_out,
    )  # fmt: skip


def _rate(night: Night) -> float:
    return night.lost / max(night.trials, 1)


def _title(night: Night) -> str:
    return f"run {night.run}, {night.began_at[:10]}: {night.lost:,} of {night.trials:,} lost"
