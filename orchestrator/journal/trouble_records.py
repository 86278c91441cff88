"""The records of what went wrong in a cell, or may go wrong, besides its trials."""

from dataclasses import dataclass

from orchestrator.findings.outcome import Outcome


@dataclass(frozen=True, slots=True)
class OverdueRecord:
    """`overdue`: an attempt takes longer than ticks that go on.

    Its `trial`, or the next `save`, says how it went. If the session ends before, the attempt
    counts as `unknown` in the next one.
    """

    cell: str
    save: str
    """The tag of the save that was loaded."""


@dataclass(frozen=True, slots=True)
class PauseRecord:
    """`pause`: the host was too busy to measure anything, or a disk was nearly full."""

    cell: str
    why: str
    ns: int


@dataclass(frozen=True, slots=True)
class FailureRecord:
    """`failure`: the harness failed at something."""

    cell: str
    error: str
    ends_cell: bool = False
    """True if the cell was given up for it."""
    argv: tuple[str, ...] = ()
    """Command line of a QEMU that did not start."""
    transient: bool = False
    """True if the host had no time or no room: nothing failed."""
    control: bool = False
    """True if it is a control of the cell that could not be taken."""
    stopped: Outcome | None = None
    """The end of a guest that was never loaded, if it is proven: `lost` for a silence, or
    `crashed`."""


@dataclass(frozen=True, slots=True)
class SkipRecord:
    """`skip`: the cell can't run here."""

    cell: str
    why: str
    lacks: str | None = None
    """The axis whose value the host or its QEMU lacks; None if it is none, or not known."""


@dataclass(frozen=True, slots=True)
class OutOfTimeRecord:
    """`out-of-time`: the time for the cell's trials was up before all had been run."""

    cell: str
