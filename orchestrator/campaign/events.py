"""What a campaign tells whoever watches it run."""

from collections.abc import Sequence
from typing import Protocol

from orchestrator.findings.cause import Diagnosis
from orchestrator.findings.outcome import Outcome
from orchestrator.plan.cell import Cell
from orchestrator.verdict.verdict import Verdict


class Progress(Protocol):
    """Hears of each step."""

    def run_begins(self, cells: Sequence[Cell], planned: int) -> None:
        """Hear what is to be run; `planned` is of each cell."""
        ...

    def noted(self, text: str) -> None:
        """Hear something that a person should know."""
        ...

    def cell_begins(self, cell: Cell, planned: int) -> None:
        """Hear that a cell's campaign begins."""
        ...

    def cell_ends(self, cell: Cell, verdict: Verdict, why: str) -> None:
        """Hear a cell's verdict; one that was skipped has not begun."""
        ...

    def control_seen(self, cell: Cell, seen: bool) -> None:
        """Hear that a control has been judged."""
        ...

    def attempt_ends(self, cell: Cell, outcome: Outcome, done: int, planned: int) -> None:
        """Hear that an attempt at a trial has ended."""
        ...

    def diagnosed(self, cell: Cell, diagnosis: Diagnosis) -> None:
        """Hear what a loss, a crash or an unknown outcome was diagnosed as."""
        ...


class _NoProgress:
    """Hears nothing."""

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


NO_PROGRESS: Progress = _NoProgress()
