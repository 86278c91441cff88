"""Shows the progress of several arms as that of one run."""

import contextlib
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.campaign.events import Progress
from orchestrator.cli.live import Show
from orchestrator.findings.cause import Diagnosis
from orchestrator.findings.outcome import Outcome
from orchestrator.journal.begun import run_began
from orchestrator.journal.file import BusyJournalError, LostJournalError, TakenJournalError
from orchestrator.plan.cell import Cell
from orchestrator.verdict.verdict import Verdict


class ArmProgress:
    """Passes the steps of one arm on. The name of the arm stands before those of its cells."""

    def __init__(self, then: Progress, arm: str) -> None:
        """Prepare.

        Args:
            then: hears the steps of all arms. It must have heard that the run begins.
            arm: name of the arm.
        """
        self._then, self._arm = then, arm

    def run_begins(self, cells: Sequence[Cell], planned: int) -> None:
        """Ignore it: all arms began together."""

    def noted(self, text: str) -> None:
        """Pass it on."""
        self._then.noted(f"{self._arm}: {text}")

    def cell_begins(self, cell: Cell, planned: int) -> None:
        """Pass it on."""
        self._then.cell_begins(of_arm(cell, self._arm), planned)

    def cell_ends(self, cell: Cell, verdict: Verdict, why: str) -> None:
        """Pass it on."""
        self._then.cell_ends(of_arm(cell, self._arm), verdict, why)

    def control_seen(self, cell: Cell, seen: bool) -> None:
        """Pass it on."""
        self._then.control_seen(of_arm(cell, self._arm), seen)

    def attempt_ends(self, cell: Cell, outcome: Outcome, done: int, planned: int) -> None:
        """Pass it on."""
        self._then.attempt_ends(of_arm(cell, self._arm), outcome, done, planned)

    def diagnosed(self, cell: Cell, diagnosis: Diagnosis) -> None:
        """Pass it on."""
        self._then.diagnosed(of_arm(cell, self._arm), diagnosis)


def of_arm(cell: Cell, arm: str) -> Cell:
    """Return a cell whose id names its arm, too."""
    return replace(cell, host=f"{arm}/{cell.host}" if cell.host else arm)


@contextlib.contextmanager
def said_if_cut_short(
    show: Show, out: Path, folders: Sequence[Path], *, resumable: bool = True
) -> Iterator[None]:
    """Say what arms have seen so far and how to go on, if something cuts the block short."""
    try:
        yield
    except (BusyJournalError, TakenJournalError, LostJournalError):
        raise  # a journal there is another process's, or gone
    except BaseException:
        show.cut_short(out, resumable=False)
        if all(map(run_began, folders)):
            said = " ".join(shlex.quote(str(folder)) for folder in folders)
            show.say(f"results so far: losttick compare {said}")
            if resumable:
                show.say(f"continue with: losttick compare --run --resume {shlex.quote(str(out))}")
        raise
