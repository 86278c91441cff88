"""The trend: cells of a host whose loss rate or first-tick class changed, and when."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.journal.save_ticks import CLASSES
from orchestrator.results.comparison.arm import ArmCell
from orchestrator.results.comparison.hosts import Differing, differing
from orchestrator.stats.change_point import Change, changes
from orchestrator.stats.rate import Losses

#: Probability that any series of all cells without a change ever shows one, however often the
#: trend is read. The model takes all loads of a night for alike; where losses depend on the save,
#: errors are more frequent, so the bound is far below the one alarm that is allowed. The class of a
#: first tick often depends on the save alone, so there a save counts once.
ERROR = 0.001

#: The least change of the share of a class of the first tick that is told.
LEAST_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Night:
    """The counts of a cell in one run."""

    run: int
    began_at: str
    trials: int
    lost: int
    classes: tuple[int, ...]
    """The saves whose first ticks are mostly of each of `CLASSES`."""
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Turn:
    """A change of a cell."""

    what: str
    """`loss rate`, or the class of the first tick whose share changed."""
    change: Change
    nights: tuple[Night, Night]
    """The first and the last night at which the change may have been."""
    hosts: Differing
    """What else changed in the host: from the night before that range to its end."""


@dataclass(frozen=True, slots=True)
class CellTrend:
    """The nights of a cell on a host, and its changes."""

    host: str
    cell: str
    nights: tuple[Night, ...]
    turns: tuple[Turn, ...]


def trend(rows: Iterable[Any]) -> list[CellTrend]:
    """Return the trend of each cell on each host.

    Args:
        rows: of `History.nights`, the oldest run first.
    """
    series: dict[tuple[str, str], list[Night]] = {}
    for row in rows:
        if row.blind:
            continue  # that run could have missed losses
        known = row.trials - row.unresolved
        night = Night(row.id, row.began_at, known, row.lost, tuple(row.save_classes), row.facts)
        series.setdefault((row.host, row.cell), []).append(night)
    tests = sum(1 + len(CLASSES) for _ in series)
    return [
        CellTrend(host, cell, tuple(nights), tuple(_turns(nights, ERROR / tests)))
        for (host, cell), nights in series.items()
    ]


def _turns(nights: Sequence[Night], error: float) -> Iterator[Turn]:
    lost, loads = [each.lost for each in nights], [each.trials for each in nights]
    for change in changes(lost, loads, error):
        yield _turn("loss rate", change, nights)
    classed = [sum(each.classes) for each in nights]
    told: set[int] = set()
    for place, outcome in enumerate(CLASSES):
        of_class = [each.classes[place] for each in nights]
        for change in changes(of_class, classed, error):
            one, other = change.rates
            if abs(other - one) >= LEAST_SHARE and change.at not in told:
                told.add(change.at)  # what one class wins, another one loses
                yield _turn(f"share of {outcome}", change, nights)


def _turn(what: str, change: Change, nights: Sequence[Night]) -> Turn:
    before, last = nights[change.first - 1], nights[change.last]
    pair = (_bare(before), _bare(last))
    return Turn(what, change, (nights[change.first], last), differing([pair]))


def _bare(night: Night) -> ArmCell:
    return ArmCell("", "", Losses(0, 0), 0.01, facts=night.facts)


def sentence(found: CellTrend, turn: Turn) -> str:
    """Return a change in words."""
    first, last = (f"run {night.run} ({night.began_at[:10]})" for night in turn.nights)
    when = f"in {first}" if first == last else f"between {first} and {last}"
    one, other = turn.change.rates
    return (
        f"The {turn.what} of {found.cell} changed from {one:.3%} to {other:.3%}, {when} at 95% "
        f"probability. {_changed(turn.hosts)}"
    )


def _changed(hosts: Differing) -> str:
    if not hosts.facts:
        return "Nothing that losttick knows of the host changed then."
    facts = "; ".join(f"{name}: {one} → {other}" for name, (one, other) in hosts.facts.items())
    if len(hosts.kinds) == 1:
        return f"Only the {hosts.kinds[0]} changed then ({facts})."
    return f"More than one thing changed then, so none is named as the cause ({facts})."
