"""The parts of the page, as data. The template lays them out; it computes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.verdict.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()
    """Columns that hold numbers, and are aligned at their right."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart, and the same numbers as a table."""

    title: str
    caption: str
    svg: str
    """The chart, as markup that is safe to insert."""
    table: Table


@dataclass(frozen=True, slots=True)
class Mark:
    """A verdict in a matrix."""

    verdict: Verdict
    text: str = ""
    """What stands below the verdict, such as `20 of 20 lost`."""
    expected: Verdict | None = None
    """The answer that was known before; None if the verdict is the question."""
    link: str = ""
    """The id of the part of the page that says more."""
    name: str = ""
    """The whole name of what got the verdict."""

    @property
    def surprising(self) -> bool:
        """True if the known answer is another one."""
        return self.expected not in (None, self.verdict)


@dataclass(frozen=True, slots=True)
class Matrix:
    """Verdicts by two properties."""

    title: str
    corner: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Mark | None]]]
    caption: str = ""
    dense: bool = False
    """True if there is room for signs alone; the words are there for screen readers."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a hang's timeline, at its place."""

    kind: str
    """`save`, `load`, `silence`, `look`, `tick` or `end`."""
    when: str
    name: str
    said: str = ""
    left: float = 0.0
    """Where the step begins, in percent of the timeline's width."""
    width: float = 0.0


@dataclass(frozen=True, slots=True)
class Text:
    """A long text, which the page shows when it is opened."""

    title: str
    text: str
    note: str = ""
    """What was left out of the text, and where the whole of it is."""


@dataclass(frozen=True, slots=True)
class HangView:
    """A trial without normal ticks, and what was read of it."""

    id: str
    title: str
    cell: str
    outcome: str
    cause: str
    sentence: str
    place: str
    link: str
    """The evidence folder, relative to the page; empty if there is no way to it."""
    steps: Sequence[Step] = ()
    untimed: str = ""
    """Why there is no timeline."""
    tables: Sequence[tuple[str, Table]] = ()
    texts: Sequence[Text] = ()
    opened: bool = False


@dataclass(frozen=True, slots=True)
class CellView:
    """A cell, or a host of a direct test, with everything that is said about it alone."""

    id: str
    name: str
    verdict: Verdict
    meaning: str
    loads: str = ""
    lost: str = ""
    rate: str = ""
    first_tick: str = ""
    controls: str = ""
    expected: Verdict | None = None
    counts: Table | None = None
    facts: Sequence[tuple[str, str]] = ()
    figures: Sequence[Figure] = ()
    opened: bool = False

    @property
    def surprising(self) -> bool:
        """True if the known answer is another one."""
        return self.expected not in (None, self.verdict)


@dataclass(frozen=True, slots=True)
class RunView:
    """One run or direct test."""

    id: str
    name: str
    command: str
    verdict: Verdict
    headline: str
    answer: str
    meaning: str
    details: Sequence[tuple[str, str]]
    """When it ran, with which version and seed."""
    notices: Sequence[str] = ()
    cells: Sequence[CellView] = ()
    columns: frozenset[str] = frozenset()
    """The columns that the table of cells needs beside the usual ones."""
    matrix: Matrix | None = None
    direct: Table | None = None
    """The losses of a direct test by the restored count."""
    figures: Sequence[Figure] = ()
    hangs: Sequence[HangView] = ()
    host: Sequence[tuple[str, str]] = ()
    differing: Table | None = None
    rerun: Sequence[str] = ()
    """The lines of commands; a single empty one if there is none."""
    left_out: Sequence[str] = ()
    statement: str = ""
    """The error rate at which the verdicts of all cells hold."""
    words: Sequence[tuple[str, str]] = ()
    """The outcomes and causes that went wrong, in plain words."""


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page."""

    title: str
    runs: Sequence[RunView]
    comparison: Matrix | None = None
    legend: Sequence[tuple[str, str]] = field(default_factory=tuple)
    """The numbers that stand for cells in the comparison."""
