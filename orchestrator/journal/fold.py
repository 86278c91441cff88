"""Folds records into the state of a run: the only place where trials are counted.

The live run folds each record as it writes it. `--resume`, `losttick show` and every
other output fold the whole file. All of them get the same state.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.host.boot import Boot
from orchestrator.host.facts import HostFacts
from orchestrator.journal.counts import CellState, OrderError
from orchestrator.journal.file import JournalFormatError, apply_each
from orchestrator.journal.out_folder import OutFolder
from orchestrator.journal.records import (
    CellRecord,
    ConsoleRecord,
    DirectRecord,
    FailureRecord,
    HostRecord,
    InstanceRecord,
    InterruptedRecord,
    LabRecord,
    OutOfTimeRecord,
    OverdueRecord,
    PeriodRecord,
    PlanRecord,
    Record,
    RestartRecord,
    ResumedRecord,
    RunRecord,
    SaveRecord,
    SeriesRecord,
    SkipRecord,
    TraceRecord,
    VerdictRecord,
    WitnessRecord,
)
from orchestrator.journal.trial_record import Role, TrialRecord
from orchestrator.plan.cell import Cell
from orchestrator.plan.plan import Plan
from orchestrator.stats.save_effect import BySave
from orchestrator.timers.registry import TIMERS
from orchestrator.vm.config import Accel


@dataclass(slots=True)
class RunState:
    """The state of a run after some of its records."""

    records: int = 0
    """Number of records so far."""
    losttick: str = ""
    """The version that ran last."""
    seed: int = 0
    guests: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each guest's image in the last session, by the guest's name."""
    began_at: str = ""
    """UTC, in ISO 8601."""
    ended_at: str = ""
    auto: Accel = Accel.KVM
    """The accelerator that stands for `auto`."""
    cells: dict[str, CellState] = field(default_factory=dict)
    """By id, in the plan's order."""
    changed: tuple[str, ...] = ()
    """Names of host facts that differ from the session before."""
    instances: int = 0
    """QEMUs that were started for the run's cells."""
    verdict: str | None = None
    """The verdict that ended the run; None until then."""
    interrupted: str | None = None
    """Why the run ended early, if it noted a reason."""
    boot: Boot = field(default_factory=Boot)
    """The boot of the host in the last session."""
    in_cell: str | None = None
    """The cell of the last record that is about a cell; None if a session has none yet."""
    _plan: Plan | None = None
    _facts: HostFacts | None = None

    @property
    def plan(self) -> Plan:
        """The plan."""
        if self._plan is None:
            raise OrderError("there is no plan before it")
        return self._plan

    @property
    def facts(self) -> HostFacts:
        """Facts of the host of the last session."""
        if self._facts is None:
            raise OrderError("there are no facts of a host before it")
        return self._facts

    def apply(self, record: Record) -> None:
        """Change the state by the next record.

        Raises:
            OrderError: the record can't follow those before it.
        """
        if type(record) is TrialRecord:  # nearly all are
            self._cell(record.cell).count(record)
        elif step := _STEPS.get(type(record)):
            step(self, record)
        self.records += 1

    @property
    def finished(self) -> bool:
        """True if the run has its verdict, and a resumed run would have nothing left to do."""
        left = any(cell.unfinished for cell in self.cells.values())
        return self.verdict is not None and not left

    @property
    def went_down(self) -> str:
        """Where the host stopped, if it did not stop after the end of a session, in words."""
        if self.in_cell is None or self.interrupted is not None:
            return ""
        cell = self.cells[self.in_cell]
        return "" if cell.ended else f"{cell.where(self.plan.limits.planned)} of {self.in_cell}"

    def _cell(self, name: str) -> CellState:
        try:
            found = self.cells[name]
        except KeyError:
            raise OrderError(f"the plan has no cell {name}") from None
        self.in_cell = name
        return found

    def _begin(self, record: RunRecord) -> None:
        if self.began_at or self.cells:
            raise OrderError("a second run begins in the same journal")
        self.losttick, self.seed, self.guests = record.losttick, record.seed, record.guests
        self.began_at, self.boot = record.at, Boot(record.boot_id, record.machine)

    def _refuse_direct(self, record: DirectRecord | SeriesRecord) -> None:
        raise OrderError("the record belongs in the journal of a direct test, not of a run")

    def _host(self, record: HostRecord) -> None:
        if record.cell is None:
            self._facts = record.facts
            return
        cell = self._cell(record.cell)
        cell.facts = record.facts or self.facts
        cell.loader = record.loader
        cell.began_at = cell.began_at or record.at
        cell.image = self.guests.get(cell.cell.image_name, "")

    def _plan_read(self, record: PlanRecord) -> None:
        if self._plan is not None:
            raise OrderError("a second plan in the same journal")
        try:
            self._plan = Plan.model_validate(record.plan)
        except ValidationError as error:
            raise OrderError(f"the plan is not valid: {error}") from error
        for cell in record.cells:
            if cell.mode not in TIMERS.names:
                raise OrderError(f"{cell.id}: no timer {cell.mode} is known")
        self.auto = record.auto
        self.cells = {cell.id: _empty(cell) for cell in record.cells}

    def _resume(self, record: ResumedRecord) -> None:
        if self.finished:
            raise OrderError("the run is resumed after its verdict, and nothing was left to do")
        self.losttick, self.guests = record.losttick, record.guests
        self._facts, self.changed = record.facts, tuple(record.changed)
        boot = Boot(record.boot_id, record.machine)
        if self.in_cell and self.went_down and self.boot.ended_before(boot, here=True):
            cell = self.cells[self.in_cell]
            cell.note_down(cell.where(self.plan.limits.planned))
        self.boot = boot
        self.interrupted = self.verdict = None
        self.ended_at, self.in_cell = "", None
        for cell in self.cells.values():
            if cell.unfinished:
                cell.resume()

    def _restart(self, record: RestartRecord) -> None:
        self.cells[record.cell] = _empty(self._cell(record.cell).cell)

    def _instance(self, record: InstanceRecord) -> None:
        self._cell(record.cell)
        self.instances = max(self.instances, record.number)

    def _save(self, record: SaveRecord) -> None:
        cell = self._cell(record.cell)
        cell.gaps.note_before(record.save.vcpus)
        if record.role is Role.HOST and record.save.eligible:
            cell.begin_save(record.save)
        elif record.role is Role.SHAM:
            cell.begin_sham(record.save)

    def _console(self, record: ConsoleRecord) -> None:
        cell = self._cell(record.cell)
        cell.console_garbled += record.garbled
        cell.console_dropped_bytes += record.dropped_bytes

    def _period(self, record: PeriodRecord) -> None:
        cell = self._cell(record.cell)
        cell.period_ns, cell.periods_tried = record.period_ns, record.tried

    def _lab(self, record: LabRecord) -> None:
        self._cell(record.cell).lab = record.lab

    def _trace(self, record: TraceRecord) -> None:
        self._cell(record.cell).apicv = record.seen

    def _witness(self, record: WitnessRecord) -> None:
        self._cell(record.cell).direct_test = record.counts or record.failure

    def _failure(self, record: FailureRecord) -> None:
        cell = self._cell(record.cell)
        if record.stopped:
            cell.note_stopped(record.stopped, record.error)
        if record.ends_cell:
            cell.failure, cell.transient = record.error, record.transient
            cell.control_missing = record.control

    def _skip(self, record: SkipRecord) -> None:
        cell = self._cell(record.cell)
        cell.skipped, cell.lacks = record.why, record.lacks

    def _out_of_time(self, record: OutOfTimeRecord) -> None:
        self._cell(record.cell).out_of_time = True

    def _overdue(self, record: OverdueRecord) -> None:
        self._cell(record.cell).overdue = True

    def _cell_ends(self, record: CellRecord) -> None:
        cell = self._cell(record.cell)
        cell.ended, cell.ended_at = True, record.at

    def _verdict(self, record: VerdictRecord) -> None:
        self.verdict, self.ended_at = record.verdict, record.at

    def _interrupt(self, record: InterruptedRecord) -> None:
        self.interrupted, self.ended_at = record.why, record.at


_STEPS: Mapping[type[Record], Callable[[RunState, Any], None]] = {
    RunRecord: RunState._begin,
    DirectRecord: RunState._refuse_direct,
    SeriesRecord: RunState._refuse_direct,
    HostRecord: RunState._host,
    PlanRecord: RunState._plan_read,
    ResumedRecord: RunState._resume,
    RestartRecord: RunState._restart,
    InstanceRecord: RunState._instance,
    SaveRecord: RunState._save,
    ConsoleRecord: RunState._console,
    PeriodRecord: RunState._period,
    LabRecord: RunState._lab,
    TraceRecord: RunState._trace,
    WitnessRecord: RunState._witness,
    FailureRecord: RunState._failure,
    SkipRecord: RunState._skip,
    OutOfTimeRecord: RunState._out_of_time,
    OverdueRecord: RunState._overdue,
    CellRecord: RunState._cell_ends,
    VerdictRecord: RunState._verdict,
    InterruptedRecord: RunState._interrupt,
}


def _empty(cell: Cell) -> CellState:
    """Return the state of a cell that has counted nothing."""
    return CellState(cell, period_ns=cell.period_ns, by_save=BySave(cell.loads_per_save))


def fold(records: Iterable[Record]) -> RunState:
    """Return the state of a run after some records.

    Raises:
        OrderError: they can't follow each other.
    """
    state = RunState()
    for record in records:
        state.apply(record)
    return state


def read_state(path: Path, folder: OutFolder | None = None) -> RunState:
    """Return the state of the run whose journal this is.

    Args:
        path: of the journal.
        folder: its folder, if that is held open: the journal is opened there.

    Raises:
        OSError: the file can't be read.
        JournalFormatError: the file can't be understood.
    """
    state = RunState()
    last = apply_each(path, state.apply, folder)
    try:
        _ = state.plan, state.facts
    except OrderError as error:
        raise JournalFormatError(path, last + 1, str(error)) from error
    return state
