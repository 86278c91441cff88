"""Writes what a run sees into its output folder, and folds what it has written."""

from pathlib import Path
from typing import BinaryIO

from orchestrator.errors import InfraError, LosttickError
from orchestrator.findings.outcome import TrialResult
from orchestrator.findings.save import Save
from orchestrator.host.errors import QemuStartError
from orchestrator.journal.evidence_folder import write_evidence
from orchestrator.journal.file import Journal, JournalError
from orchestrator.journal.fold import RunState
from orchestrator.journal.line import decode
from orchestrator.journal.records import (
    ConsoleRecord,
    FailureRecord,
    InstanceRecord,
    LoaderRecord,
    Record,
    SaveRecord,
)
from orchestrator.journal.trial_record import Role, trial_record
from orchestrator.plan.cell import Cell
from orchestrator.trial.examine import Hang
from orchestrator.vm.instance import Instance

#: Name of the folder with the evidence of trials, in the output folder.
EVIDENCE = "evidence"


class Recorder:
    """The output folder of one run, and the run's state."""

    def __init__(self, out: Path, journal: Journal, state: RunState | None = None) -> None:
        """Take over a folder.

        Args:
            out: the folder.
            journal: the journal in it, open.
            state: what the journal's records fold to; by default it has none yet.
        """
        self.out = out
        self.state = state or RunState()
        self._journal = journal
        self._instances = self.state.instances
        self._hangs = _highest_number(out / EVIDENCE)

    def write(self, record: Record) -> None:
        """Append a record to the journal, then fold it.

        The line is folded as it was written, so that the live run counts exactly what a
        later reader of the journal counts.

        Raises:
            JournalError: nothing can be written.
        """
        self.state.apply(decode(self._journal.write(record)))

    def next_console(self) -> tuple[int, BinaryIO]:
        """Return the next instance's number, and the file for its console.

        Raises:
            JournalError: the file can't be created.
        """
        self._instances += 1
        path = self.out / "console" / f"instance-{self._instances:04d}.log"
        try:
            path.parent.mkdir(exist_ok=True)
            return self._instances, path.open("wb")
        except OSError as error:
            raise _cannot_write(path, error) from error

    def instance(self, cell: Cell, role: Role, number: int, instance: Instance) -> None:
        """Note an instance that has started."""
        facts = instance.facts
        self.write(
            InstanceRecord(
                cell.id, role, number, tuple(facts.argv), tuple(facts.vcpu_threads),
                tuple(facts.pinned_cpus),
            )
        )  # fmt: skip

    def loader(self, cell: Cell, instance: Instance) -> None:
        """Note the first QEMU that was started to load."""
        self.write(LoaderRecord(cell.id, tuple(instance.facts.argv)))

    def console(self, cell: Cell, instance: Instance) -> None:
        """Note what was counted on the console of an instance that has ended."""
        console = instance.console
        error = str(console.tee_error) if console.tee_error else None
        self.write(
            ConsoleRecord(
                cell.id, console.received_bytes, console.garbled, console.dropped_bytes, error
            )
        )

    def failure(self, cell: Cell, error: LosttickError, *, ends_cell: bool = False) -> None:
        """Note that the harness failed at something."""
        argv = error.argv if isinstance(error, QemuStartError) else ()
        transient = isinstance(error, InfraError) and error.transient
        self.write(FailureRecord(cell.id, str(error), ends_cell, argv, transient))

    def save(self, cell: Cell, role: Role, save: Save) -> None:
        """Note a save, or an attempt at one that was not eligible."""
        self.write(SaveRecord(cell.id, save, role))

    def trial(
        self,
        cell: Cell,
        role: Role,
        number: int,
        attempt: int,
        save: Save,
        result: TrialResult,
        hang: Hang | None,
        pair: int | None = None,
    ) -> None:
        """Note an attempt at a trial. One that did not plainly tick gets an evidence folder."""
        kept = self._keep(cell, role, save, result, hang) if hang else None
        diagnoses = hang.diagnoses if hang else ()
        samples = self.state.cells[cell.id].gaps
        wanted = samples.wanted_after(cell.vcpus) if role is Role.HOST else ()
        record = trial_record(
            cell.id, role, number, attempt, save.tag, result, diagnoses, kept, pair, wanted
        )  # fmt: skip
        self.write(record)

    def sham(self, cell: Cell, pair: int, save: Save, result: TrialResult) -> None:
        """Note a sham, and the state in which the guest was stopped for it."""
        self.save(cell, Role.SHAM, save)
        # After a load the period may be another one in a sham, too.
        samples = self.state.cells[cell.id].gaps
        wanted = () if save.generation else samples.wanted_before(cell.vcpus)
        self.write(
            trial_record(cell.id, Role.SHAM, pair, 1, save.tag, result, pair=pair, gaps_of=wanted)
        )

    def _keep(self, cell: Cell, role: Role, save: Save, result: TrialResult, hang: Hang) -> str:
        """Write a trial's evidence into a folder of its own, and return the folder's name."""
        self._hangs += 1
        name = f"{EVIDENCE}/{self._hangs:04d}-{role}-{result.outcome}"
        try:
            write_evidence(self.out / name, cell.id, save, result, hang)
        except OSError as error:
            raise _cannot_write(self.out / name, error) from error
        return name


def _highest_number(folder: Path) -> int:
    """Return the highest number in the names of evidence folders.

    A run that was cut short may have left a folder that its journal does not name.
    """
    return max((int(path.name.partition("-")[0]) for path in folder.glob("[0-9]*-*")), default=0)


def _cannot_write(path: Path, error: OSError) -> JournalError:
    return JournalError(
        f"writing to {path}: {error.strerror}. The journal so far is good. "
        "Make room, or choose another place with --out DIR."
    )
