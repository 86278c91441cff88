"""The steps of a run as JSON lines, for another program to follow."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.campaign.events import Progress
from orchestrator.cli.events_file import EventsFile
from orchestrator.findings.cause import Diagnosis
from orchestrator.findings.outcome import Outcome
from orchestrator.journal.plain import plain
from orchestrator.plan.cell import Cell
from orchestrator.verdict.verdict import Verdict


class Events:
    """Writes each step of a run as one line of JSON, and passes the step on."""

    def __init__(self, file: EventsFile, then: Progress) -> None:
        self._file = file
        self._then = then

    def _write(self, event: str, **fields: object) -> None:
        self._file.write(json.dumps({"event": event, **plain(fields)}).encode() + b"\n")

    def run_begins(self, cells: Sequence[Cell], planned: int) -> None:
        """Write the ids of the cells, and the number of trials planned for each."""
        self._write("run_begins", cells=[cell.id for cell in cells], planned=planned)
        self._then.run_begins(cells, planned)

    def noted(self, text: str) -> None:
        """Write a note for a person."""
        self._write("noted", text=text)
        self._then.noted(text)

    def cell_begins(self, cell: Cell, planned: int) -> None:
        """Write the id of a cell that begins, and the number of its trials."""
        self._write("cell_begins", cell=cell.id, planned=planned)
        self._then.cell_begins(cell, planned)

    def cell_ends(self, cell: Cell, verdict: Verdict, why: str) -> None:
        """Write a cell's verdict and the reason."""
        self._write("cell_ends", cell=cell.id, verdict=verdict, why=why)
        self._then.cell_ends(cell, verdict, why)

    def control_seen(self, cell: Cell, seen: bool) -> None:
        """Write whether a control was seen."""
        self._write("control_seen", cell=cell.id, seen=seen)
        self._then.control_seen(cell, seen)

    def attempt_ends(self, cell: Cell, outcome: Outcome, done: int, planned: int) -> None:
        """Write the outcome of an attempt, and how many trials are done."""
        self._write("attempt_ends", cell=cell.id, outcome=outcome, done=done, planned=planned)
        self._then.attempt_ends(cell, outcome, done, planned)

    def diagnosed(self, cell: Cell, diagnosis: Diagnosis) -> None:
        """Write a diagnosis."""
        self._write("diagnosed", cell=cell.id, diagnosis=diagnosis)
        self._then.diagnosed(cell, diagnosis)


@contextlib.contextmanager
def events_to(path: Path | None, show: Progress) -> Iterator[Progress]:
    """Give a progress that also writes each step to a file, if one is named.

    Args:
        path: a file, which is appended to, a FIFO or /dev/fd/N; None for no file.
        show: the progress that hears of each step after it was written.

    Raises:
        EventsFileError: the file can't be opened.
    """
    if path is None:
        yield show
        return
    file = EventsFile(path, show.noted)
    try:
        yield Events(file, show)
    finally:
        file.close()
