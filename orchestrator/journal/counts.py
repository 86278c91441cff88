"""The state of a cell: its counts and notes, folded from its records."""

from array import array
from collections import Counter
from dataclasses import dataclass, field

from orchestrator.bugs.exposure import ApicvTrace
from orchestrator.bugs.known_bug import Symptom
from orchestrator.bugs.likeness import proven
from orchestrator.findings.cause import Cause
from orchestrator.findings.lab import LabIdentity
from orchestrator.findings.outcome import LATE, STOPPED, SURPLUS, TICKED, Outcome
from orchestrator.findings.period import PeriodTried
from orchestrator.findings.save import Save
from orchestrator.findings.series import DirectCounts
from orchestrator.findings.witness import TraceReading
from orchestrator.host.facts import HostFacts, QemuFacts
from orchestrator.journal.control import Control, control_of
from orchestrator.journal.gap_samples import GapSamples
from orchestrator.journal.pairing import Pairing
from orchestrator.journal.phases import PhaseBin, Phases
from orchestrator.journal.save_ticks import SaveTicks
from orchestrator.journal.trial_record import Role, TrialRecord
from orchestrator.plan.cell import Cell
from orchestrator.stats.save_effect import BySave

#: Attempts at one trial; each is journalled and counted.
MAX_ATTEMPTS = 3

#: Tries of one control before it counts as not seen.
CONTROL_TRIES = 6

#: Looked up once: a journal has millions of trials.
_UNKNOWN, _LOST, _HOST = Outcome.UNKNOWN, Outcome.LOST, Role.HOST


class OrderError(ValueError):
    """A record stands where it can't: something before it is missing."""


@dataclass(slots=True)
class CellState:
    """The counts of a cell so far, and everything else that its records say."""

    cell: Cell
    facts: HostFacts | None = None
    """The host on which the trials were counted; None until it came up."""
    loader: QemuFacts | None = None
    """The QEMU that loads, if it is another one than the QEMU that saves."""
    image: str = ""
    """SHA-256 of the guest's image with which they were counted."""
    lab: LabIdentity | None = None
    """The identity of the lab, if a lab booted the host."""
    period_ns: int | None = None
    """The timer period. None for `auto` until it was measured."""
    periods_tried: tuple[PeriodTried, ...] = ()
    """The measurements by which the period was chosen."""
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    """Trials of eligible saves, by outcome; `unknown` for those that stayed unresolved."""
    on_other_vcpus: Counter[Outcome] = field(default_factory=Counter)
    """The outcomes of the vCPUs beside the telling one, which `outcomes` counts."""
    causes: Counter[Cause] = field(default_factory=Counter)
    attempts: int = 0
    unknown_attempts: int = 0
    cut_off_attempts: int = 0
    """Those of them whose result a session did not live to see."""
    saves: int = 0
    expired_saves: int = 0
    """Saves in which the timer of a vCPU had run out while the instance was stopped."""
    kvmclock_saves: int = 0
    """Saves of a guest with kvmclock, which is judged after each of their loads."""
    lossy_saves: int = 0
    """Saves of which at least one load was lost."""
    by_save: BySave = field(default_factory=BySave)
    """How the losses fall on saves."""
    save_ticks: SaveTicks = field(default_factory=SaveTicks)
    """How the classes and times of first ticks fall on saves."""
    save_phases: "array[float]" = field(default_factory=lambda: array("f"))
    """Where in the period of the first vCPU each save was taken."""
    lost_by_vcpu: Counter[int] = field(default_factory=Counter)
    """How often each vCPU lost its timer. One load may lose several."""
    symptoms: Counter[Symptom] = field(default_factory=Counter)
    """The symptoms of trials without normal ticks, with the number of such trials."""
    controls: list[Control] = field(default_factory=list)
    pairing: Pairing = field(default_factory=Pairing)
    """The pairs of a load and a sham since the cell's first late tick."""
    first_tick_periods: "array[float]" = field(default_factory=lambda: array("d"))
    first_tick_ms: "array[float]" = field(default_factory=lambda: array("d"))
    gaps: GapSamples = field(default_factory=GapSamples)
    """The times between ticks that show the timer's period."""
    phases: Phases = field(default_factory=Phases)
    apicv: ApicvTrace | None = None
    """The use of APICv in the kernel's trace of the first instance."""
    traced: Counter[TraceReading] = field(default_factory=Counter)
    """Readings of the kernel's trace, for losses with the signature of a known bug that makes
    a host `affected` and for timers that were never started."""
    direct_test: DirectCounts | str | None = None
    """The counts of the direct test on the same host, or the reason why it could not be run;
    None if nobody asked it."""
    console_garbled: int = 0
    """Console lines with a wrong checksum, on instances that have ended."""
    console_dropped_bytes: int = 0
    failure: str | None = None
    """Why the cell was given up."""
    transient: bool = False
    """True if it was given up because the host had no time or no room."""
    control_missing: bool = False
    """True if it was given up because a control could not be taken."""
    skipped: str | None = None
    """Why the cell can't run."""
    lacks: str | None = None
    """The axis whose value can't be had; None if it is none, or not known."""
    out_of_time: bool = False
    """True if the time for the trials was up before all had been run."""
    saves_again: int = 0
    """Saves of a guest that had been loaded before."""
    failed_saves: int = 0
    """Attempts to save such a guest that came to nothing, nobody knows why."""
    failed_save_why: str = ""
    """The words for the last of them."""
    stopped_unloaded: Counter[Outcome] = field(default_factory=Counter)
    """Guests that stopped ticking although they were never loaded, by how that ended."""
    stopped_why: str = ""
    """The words for the last of them."""
    overdue: bool = False
    """True while an attempt takes longer than ticks that go on, and has no result yet."""
    went_down: list[str] = field(default_factory=list)
    """The trials in which the host went down, in words such as `in trial 3`."""
    ended: bool = False
    """True once the cell has its verdict."""
    began_at: str = ""
    """UTC, in ISO 8601; empty until the cell's host came up."""
    ended_at: str = ""
    """The same for its verdict."""
    kept: list[TrialRecord] = field(default_factory=list)
    """The trials that have an evidence folder, without controls."""
    _sham_loaded: bool = False
    """Whether the guest of the present sham had been loaded before."""
    _save: tuple[str, PhaseBin, bool] | None = None
    """The tag of the save that is being loaded, its bin, and whether the guest had been loaded
    before it was saved."""

    @property
    def trials(self) -> int:
        """Trials of eligible saves, resolved or not."""
        return self.outcomes.total()

    @property
    def controls_begun(self) -> int:
        """Controls, with one that could not be taken."""
        return len(self.controls) + self.control_missing

    @property
    def given_up(self) -> str | None:
        """Why the cell ended before its campaign did; None if it did not.

        A cell that was skipped with something counted has lost its host when it was resumed.
        """
        counted = self.attempts or self.controls
        return self.failure or (self.skipped if counted else None)

    @property
    def unfinished(self) -> bool:
        """True if a resumed run has something left to do in the cell.

        The cell has no verdict yet, was given up, or has a control of which nothing is known.
        """
        unknown = any(control.outcome is _UNKNOWN for control in self.controls)
        return not self.ended or self.given_up is not None or unknown

    def where(self, planned: int) -> str:
        """Return in which trial the cell is, or after which one, in words.

        Args:
            planned: planned number of trials.
        """
        return f"after trial {self.trials}" if self.trials >= planned else self._in_trial

    @property
    def _in_trial(self) -> str:
        return f"in trial {self.trials + 1}"

    def note_down(self, where: str) -> None:
        """Note that the host went down, and where: a trial in which it did has no result."""
        self.went_down.append(where)
        self.overdue = self.overdue or where == self._in_trial

    def resume(self) -> None:
        """Give an unfinished cell its time again, and another chance.

        An attempt whose result the last session did not live to see counts as `unknown`: people
        end a run because its guest hangs, so forgetting such attempts would forget hangs.
        """
        if self.overdue:
            self.attempts += 1
            self.unknown_attempts += 1
            self.cut_off_attempts += 1
            self.overdue = False
        self.ended, self.ended_at, self.out_of_time = False, "", False
        self.failure, self.skipped, self.lacks = None, None, None
        self.transient, self.control_missing = False, False
        self.controls = [each for each in self.controls if each.outcome is not _UNKNOWN]
        self.pairing.drop_open()  # its members would be hours apart

    @property
    def bug_losses(self) -> int:
        """Losses with the signature of a known bug that makes a host `affected`."""
        return sum(count for symptom, count in self.symptoms.items() if proven(symptom))

    def begin_save(self, save: Save) -> None:
        """Count an eligible save."""
        self.overdue = False
        self.saves += 1
        self.saves_again += save.generation > 0
        self.expired_saves += any(part.expired for part in save.vcpus)
        self.kvmclock_saves += all(part.kvmclock_ns > 0 for part in save.vcpus)
        self.by_save.begin()
        self.save_ticks.begin()
        self.save_phases.append(save.vcpus[0].phase)
        self._save = save.tag, self.phases.begin_save(save), save.generation > 0

    def begin_sham(self, save: Save) -> None:
        """Note the state in which a guest was stopped for a sham."""
        self._sham_loaded = save.generation > 0

    def note_stopped(self, outcome: Outcome, why: str) -> None:
        """Count a guest that stopped ticking although it was never loaded."""
        self.stopped_unloaded[outcome] += 1
        self.stopped_why = why

    def count(self, trial: TrialRecord) -> None:
        """Count an attempt at a trial; its last attempt, or a known outcome, resolves it.

        Raises:
            OrderError: it loads another save than the cell's last one.
        """
        if trial.role is not _HOST:
            self._count_other(trial)
            return
        if self._save is None or trial.save != self._save[0]:
            raise OrderError(f"it is a load of {trial.save}, which is not the save before it")
        outcome, first, found = trial.outcome, trial.first_tick, self._save[1]
        if trial.evidence is not None:
            self.kept.append(trial)
        if trial.pair is not None:
            self.pairing.note(_HOST, trial.pair, outcome)
        elif outcome in LATE:
            self.pairing.began = True
        self.attempts += 1
        self.overdue = False
        self.gaps.note_after(trial)
        if first:
            self.first_tick_periods.append(first[0])
            self.first_tick_ms.append(first[2])
        if outcome is _UNKNOWN:
            self.unknown_attempts += 1
            if trial.next_save:
                self.failed_saves += 1
                self.failed_save_why = trial.why
            if trial.attempt < MAX_ATTEMPTS:
                return
        else:
            self.by_save.count(lost=outcome is _LOST)
        self.outcomes[outcome] += 1
        found.outcomes[outcome] += 1
        if first:
            found.first_tick_periods.append(first[0])
        if outcome is _LOST:
            self.lossy_saves += 1
            self.lost_by_vcpu.update(p.vcpu for p in trial.vcpus if p.outcome is _LOST)
        for part in trial.others:
            self.on_other_vcpus[part.outcome] += 1
        if outcome in TICKED:
            if first:
                self.save_ticks.count(outcome, first[0])
            return
        diagnosis = trial.diagnosis if trial.diagnoses else None
        if diagnosis:
            self.causes[diagnosis.cause] += 1
        cause = diagnosis.cause if diagnosis else None
        first_tick = trial.ticks_after_load == 0
        surplus = any(part.outcome in SURPLUS for part in trial.others)
        symptom = Symptom(self.cell.mode, outcome, cause, first_tick, self._save[2], surplus)
        self.symptoms[symptom] += 1
        if diagnosis and diagnosis.trace and (proven(symptom) or cause is Cause.NOT_STARTED):
            self.traced[diagnosis.trace] += 1

    def _count_other(self, trial: TrialRecord) -> None:
        """Count a sham or a control."""
        if trial.role is Role.SHAM:
            self.pairing.note(Role.SHAM, trial.pair or 0, trial.outcome)
            if trial.outcome in STOPPED and not self._sham_loaded:
                self.note_stopped(trial.outcome, trial.why)
            self.gaps.note_before(trial.vcpus)
        else:
            self._count_control(trial)

    def _count_control(self, trial: TrialRecord) -> None:
        """Note a control; one that ended unknown is tried again under the same number."""
        control = control_of(self.cell, trial)
        if control.outcome is _UNKNOWN and trial.attempt < CONTROL_TRIES:
            return
        del self.controls[(trial.number or 1) - 1 :]
        self.controls.append(control)
