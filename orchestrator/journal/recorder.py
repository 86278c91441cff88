"""Writes what a run sees into its output folder, and folds what it has written."""

import random
from collections.abc import Iterable

from orchestrator.errors import InfraError, LosttickError
from orchestrator.findings.outcome import Outcome, TrialResult
from orchestrator.findings.save import Save
from orchestrator.host.errors import QemuStartError
from orchestrator.journal.console_log import ConsoleLog, ConsoleLogs
from orchestrator.journal.evidence_folder import write_evidence
from orchestrator.journal.file import Journal, cannot_write
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

#: Name of the folder with the console output of instances, in the output folder.
CONSOLES = "console"

#: Evidence that each cell keeps of each outcome; a sample of the further ones is kept, too.
KEPT_EVIDENCE = 100


def failure_record(
    cell: str,
    error: LosttickError,
    *,
    ends_cell: bool = False,
    control: bool = False,
    stopped: Outcome | None = None,
) -> FailureRecord:
    """Return what a journal notes of an error: among the rest, whether it may pass."""
    argv = error.argv if isinstance(error, QemuStartError) else ()
    notes = getattr(error, "__notes__", ())  # of a disk that is full
    transient = isinstance(error, InfraError) and (error.transient or bool(notes))
    said = ". ".join([str(error), *notes])
    return FailureRecord(
        cell, said, ends_cell, argv, transient, control, None if transient else stopped
    )


class Recorder:
    """The output folder of one run, and the run's state."""

    def __init__(self, journal: Journal, state: RunState | None = None) -> None:
        """Take over a folder.

        Args:
            journal: the journal in the folder, open.
            state: what the journal's records fold to; by default it has none yet.
        """
        self.state = state or RunState()
        self._journal = journal
        self.folder = journal.folder
        """The output folder."""
        self._consoles = ConsoleLogs(self.folder, CONSOLES)
        self._instances = self.state.instances
        self._hangs = _highest_number(self.folder.names(EVIDENCE))

    def write(self, record: Record) -> None:
        """Append a record to the journal, then fold it.

        The line is folded as it was written, so that the live run counts exactly what a
        later reader of the journal counts.

        Raises:
            JournalError: nothing can be written.
        """
        self.state.apply(decode(self._journal.write(record)))

    def next_console(self) -> tuple[int, ConsoleLog]:
        """Return the next instance's number, and the file for its console.

        Raises:
            JournalError: the file can't be created, or the output folder is gone.
        """
        self._journal.check()
        while True:
            self._instances += 1
            name = f"instance-{self._instances:04d}.log"
            try:
                return self._instances, self._consoles.create(name)
            except FileExistsError:  # of an instance that was killed before it was journalled
                continue

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

    def failure(
        self,
        cell: Cell,
        error: LosttickError,
        *,
        ends_cell: bool = False,
        control: bool = False,
        stopped: Outcome | None = None,
    ) -> None:
        """Note that the harness failed at something, or that a guest that was never loaded did."""
        record = failure_record(
            cell.id, error, ends_cell=ends_cell, control=control, stopped=stopped
        )
        self.write(record)

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
        *,
        next_save: bool = False,
        unrestored: str = "",
    ) -> None:
        """Note an attempt at a trial. One that did not plainly tick gets an evidence folder."""
        wanted_too = hang and self._wants_evidence(cell, role, result.outcome)
        kept = self._keep(cell, role, save, result, hang) if hang and wanted_too else None
        diagnoses = hang.diagnoses if hang else ()
        samples = self.state.cells[cell.id].gaps
        wanted = samples.wanted_after(cell.vcpus) if role is Role.HOST else ()
        record = trial_record(
            cell.id, role, number, attempt, save.tag, result, diagnoses, kept, pair, wanted,
            next_save=next_save, unrestored=unrestored,
        )  # fmt: skip
        self.write(record)

    def sham(self, cell: Cell, pair: int, save: Save, result: TrialResult) -> None:
        """Note a sham, and the state in which the guest was stopped for it."""
        self.save(cell, Role.SHAM, save)
        wanted = self.state.cells[cell.id].gaps.wanted_before(cell.vcpus)
        self.write(
            trial_record(cell.id, Role.SHAM, pair, 1, save.tag, result, pair=pair, gaps_of=wanted)
        )

    def _wants_evidence(self, cell: Cell, role: Role, outcome: Outcome) -> bool:
        """Return whether to keep the evidence of the next trial with an outcome.

        The first hundred of a cell are kept. Of the further ones, the n-th is kept with the
        probability 100/n, so that a million hangs leave about a thousand, from all of the run.
        """
        if role is not Role.HOST:
            return True
        counts = self.state.cells[cell.id]
        unknown = outcome is Outcome.UNKNOWN  # most of these are tried again, and count later
        number = 1 + (counts.unknown_attempts if unknown else counts.outcomes[outcome])
        if number <= KEPT_EVIDENCE:
            return True
        # Drawn from the number, so that a resumed run keeps what it would have kept without.
        draw = random.Random(f"{self.state.seed}/{cell.id}/evidence/{outcome}/{number}").random()
        return draw < KEPT_EVIDENCE / number

    def _keep(self, cell: Cell, role: Role, save: Save, result: TrialResult, hang: Hang) -> str:
        """Write a trial's evidence into a folder of its own, and return the folder's name."""
        self._journal.check()
        self._hangs += 1
        name = f"{self._hangs:04d}-{role}-{result.outcome}"
        try:
            with (
                self.folder.folder(EVIDENCE) as evidence,
                evidence.folder(name, new=True) as folder,
            ):
                write_evidence(folder, cell.id, save, result, hang)
        except OSError as error:
            raise cannot_write(self.folder.path / EVIDENCE / name, error) from error
        return f"{EVIDENCE}/{name}"


def _highest_number(names: Iterable[str]) -> int:
    """Return the highest number in the names of evidence folders.

    A run that was cut short may have left a folder that its journal does not name.
    """
    numbers = (name.partition("-")[0] for name in names)
    return max((int(number) for number in numbers if number.isdecimal()), default=0)
