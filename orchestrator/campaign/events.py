"""The steps of a run, as they are announced to whoever watches.

A trial, a control and a verdict are journalled before they are announced.
"""

from collections.abc import Sequence
from typing import Protocol

from orchestrator.findings.cause import Diagnosis
from orchestrator.findings.outcome import Outcome
from orchestrator.plan.cell import Cell
from orchestrator.verdict.verdict import Verdict


class Progress(Protocol):
    """Is called at each step of a run."""

    def run_begins(self, cells: Sequence[Cell], planned: int) -> None:
        """Hear that the run begins, with `planned` trials for each cell."""
        ...

    def noted(self, text: str) -> None:
        """Hear something that a person should know."""
        ...

    def cell_begins(self, cell: Cell, planned: int) -> None:
        """Hear that a cell's campaign begins."""
        ...

    def cell_ends(self, cell: Cell, verdict: Verdict, why: str) -> None:
        """Hear a cell's verdict. For a skipped cell, `cell_begins` was not called."""
        ...

    def control_seen(self, cell: Cell, seen: bool) -> None:
        """Hear whether the injected loss of a control was seen."""
        ...

    def attempt_ends(self, cell: Cell, outcome: Outcome, done: int, planned: int) -> None:
        """Hear that an attempt at a trial has ended; `done` trials are finished by now."""
        ...

    def diagnosed(self, cell: Cell, diagnosis: Diagnosis) -> None:
        """Hear the diagnosis of a vCPU that was lost, crashed or unknown."""
        ...


class NoProgress:
    """Ignores every step."""

    def run_begins(self, cells: Sequence[Cell], planned: int) -> None:
        """Ignore it."""

    def noted(self, text: str) -> None:
        """Ignore it."""

    def cell_ends(self, cell: Cell, verdict: Verdict, why: str) -> None:
        """Ignore it."""

    def cell_begins(self, cell: Cell, planned: int) -> None:
        """Ignore it."""

    def control_seen(self, cell: Cell, seen: bool) -> None:
        """Ignore it."""

    def attempt_ends(self, cell: Cell, outcome: Outcome, done: int, planned: int) -> None:
        """Ignore it."""

    def diagnosed(self, cell: Cell, diagnosis: Diagnosis) -> None:
        """Ignore it."""


NO_PROGRESS: Progress = NoProgress()
