"""What the page shows of single trials, counted in one pass over the journal.

The trials of a cell go into bins as they are read, so that a journal of a million trials takes
no more memory than one of a thousand.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.findings.outcome import TICKED, Outcome
from orchestrator.journal.counts import MAX_ATTEMPTS
from orchestrator.journal.file import read_journal
from orchestrator.journal.records import RestartRecord
from orchestrator.journal.trial_record import Role, TrialRecord

#: Bins along the trials of a cell.
BINS = 40

#: Most hangs of a cell that are kept while the journal is read.
HANGS_OF_CELL = 3

#: Looked up once: a journal has millions of trials.
_HOST, _UNKNOWN = Role.HOST, Outcome.UNKNOWN


@dataclass(frozen=True, slots=True)
class Hang:
    """A trial without normal ticks that has an evidence folder."""

    trial: TrialRecord
    number: int
    """The number of the trial in its cell, from 1."""


@dataclass(slots=True)
class CellTrials:
    """The trials of one cell."""

    planned: int
    """Trials that the journal has of the cell."""
    bins: list[Counter[Outcome]] = field(default_factory=list)
    """The outcomes of trials in their order, in bins of equally many trials."""
    hangs: list[Hang] = field(default_factory=list)
    """The first trial of each kind that has evidence, then further ones."""
    with_evidence: int = 0
    """Trials of the cell that have an evidence folder."""
    done: int = 0

    @property
    def bin_size(self) -> int:
        """Trials in a bin; the last one may have fewer."""
        return max(1, -(-self.planned // BINS))

    def begin_again(self) -> None:
        """Forget everything: the cell is counted anew."""
        self.bins.clear()
        self.hangs.clear()
        self.with_evidence = self.done = 0

    def count(self, trial: TrialRecord) -> None:
        """Count an attempt at a trial of the host, as the fold of the journal does."""
        outcome = trial.outcome
        if trial.evidence is not None:
            self.with_evidence += 1
            self._keep(Hang(trial, self.done + 1))
        if self.done >= self.planned or (outcome is _UNKNOWN and trial.attempt < MAX_ATTEMPTS):
            return  # it is tried again; or the run went on after its result was read
        if self.done % self.bin_size == 0:
            self.bins.append(Counter())
        self.bins[-1][outcome] += 1
        self.done += 1

    def _keep(self, hang: Hang) -> None:
        """Keep a hang if there is room, or if no hang that is kept is of its kind."""
        if len(self.hangs) < HANGS_OF_CELL:
            self.hangs.append(hang)
            return
        kinds = [_kind(each.trial) for each in self.hangs]
        if _kind(hang.trial) in kinds:
            return
        again = next((n for n in range(len(kinds) - 1, 0, -1) if kinds[n] in kinds[:n]), None)
        if again is not None:
            self.hangs[again] = hang


def _kind(trial: TrialRecord) -> tuple[Outcome, str]:
    found = trial.diagnosis
    return trial.outcome, str(found.cause) if found else ""


def read_trials(journal: Path, planned: Mapping[str, int]) -> Mapping[str, CellTrials]:
    """Count the trials of a run's host in bins, and pick its hangs.

    Args:
        journal: the journal.
        planned: the number of trials of each cell, by its id.
    """
    cells = {name: CellTrials(count) for name, count in planned.items()}
    for record in read_journal(journal):
        if type(record) is TrialRecord:
            if record.role is _HOST and record.cell in cells:
                cells[record.cell].count(record)
        elif isinstance(record, RestartRecord) and record.cell in cells:
            cells[record.cell].begin_again()
    return cells


def pick_hangs(cells: Mapping[str, CellTrials], most: int) -> Iterator[tuple[str, Hang]]:
    """Yield the hangs to show, cell after cell.

    Each cell shows its first hang before any cell shows its second, so that the limit leaves
    out no cell while another one shows several.
    """
    shown: dict[str, int] = dict.fromkeys(cells, 0)
    for number in range(HANGS_OF_CELL):
        for name, cell in cells.items():
            if len(cell.hangs) > number and sum(shown.values()) < most:
                shown[name] += 1
    for name, count in shown.items():
        yield from ((name, hang) for hang in cells[name].hangs[:count])


#: Outcomes in the order of the charts: normal ticks first.
ORDER = tuple(sorted(Outcome, key=lambda one: (one not in TICKED, list(Outcome).index(one))))
