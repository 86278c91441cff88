"""One cell's campaign: a control, the trials, a control."""

import random
from array import array
from collections import Counter
from dataclasses import dataclass, field, replace
from enum import StrEnum

from orchestrator.campaign.progress import Progress
from orchestrator.campaign.records import Hang, Records
from orchestrator.campaign.saves import BySave
from orchestrator.campaign.sequential import Advice, StoppingRule
from orchestrator.errors import InfraError
from orchestrator.guest.firmware import TimerMode
from orchestrator.host.protocol import Host, QemuStartError
from orchestrator.plan.model import Cell
from orchestrator.snapshot import CycleKind, Snapshots
from orchestrator.trial.diagnosis import Cause, diagnose, settle
from orchestrator.trial.evidence import gather
from orchestrator.trial.limits import Limits
from orchestrator.trial.outcome import Outcome, TrialResult
from orchestrator.trial.pace import Pace
from orchestrator.trial.save import (
    CONTROL_TICK,
    NoSaveError,
    Save,
    Saver,
)
from orchestrator.trial.trial import Trial
from orchestrator.trial.watch import Quiet, how_it_ended
from orchestrator.vm.machine import GuestStartError, Machine
from orchestrator.vm.monitor import MonitorError

#: Attempts at one trial; each is journalled and counted.
MAX_ATTEMPTS = 3

#: Machines in a row that give no trial before the cell is given up.
MAX_BARREN_MACHINES = 3

#: What one machine may come to without an end of the cell: the next may do better.
MACHINE_TROUBLE = (NoSaveError, MonitorError, QemuStartError, GuestStartError)


class Arm(StrEnum):
    """Which question a trial answers."""

    HOST = "host"
    """Does this host lose ticks?"""
    CONTROL = "control"
    """Would a loss be seen? The guest swallows its own tick."""


@dataclass(frozen=True, slots=True)
class Control:
    """One run of the built-in control."""

    seen: bool
    outcome: Outcome
    cause: Cause | None
    sentence: str


@dataclass(slots=True)
class CellCampaign:
    """What a cell's campaign has counted so far."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    causes: Counter[Cause] = field(default_factory=Counter)
    attempts: int = 0
    unknown_attempts: int = 0
    saves: int = 0
    lossy_saves: int = 0
    """Saves of which at least one load was lost."""
    by_save: BySave = field(default_factory=BySave)
    """How the losses fall on saves."""
    bug_losses: int = 0
    """Losses as the bug makes them: the first tick of a one-shot timer, diagnosed as lost."""
    controls: list[Control] = field(default_factory=list)
    first_tick_periods: "array[float]" = field(default_factory=lambda: array("d"))
    first_tick_ms: "array[float]" = field(default_factory=lambda: array("d"))
    trace: str | None = None
    """What the kernel recorded of the last loads on the first machine."""
    failure: str | None = None
    """Why the campaign ended early."""
    out_of_time: bool = False
    """Whether the time for its trials was up before all had been run."""


class CellRunner:
    """Runs one cell on one host."""

    def __init__(
        self,
        host: Host,
        cell: Cell,
        snapshots: Snapshots,
        *,
        planned: int,
        seconds: float | None = None,
        controls: int = 2,
        rule: StoppingRule | None = None,
        rng: random.Random,
        records: Records,
        progress: Progress,
    ) -> None:
        """Prepare; `run` does the work.

        Args:
            host: where.
            cell: what.
            snapshots: the cell's method.
            planned: trials of eligible saves.
            seconds: time for them, by the host's clock; by default as long as it takes.
            controls: injected losses: 2 are one before the trials and one after.
            rule: may end the cell early; by default it does not.
            rng: draws the phases.
            records: journal and evidence.
            progress: hears of each step.
        """
        self._host = host
        self._cell = cell
        self._snapshots = snapshots
        self._planned = planned
        self._seconds = seconds
        self._controls = controls
        self._until_ns: int | None = None
        self._rule = rule or StoppingRule(planned)
        self._rng = rng
        self._records = records
        self._progress = progress
        self._limits = Limits(cell.period_ns)
        self._trials = 0
        self._attempt = 1
        self._loader_noted = False
        self.campaign = CellCampaign(by_save=BySave(cell.loads_per_save))

    async def run(self) -> CellCampaign:
        """Run the cell. What the harness could not do is noted, not raised.

        Raises:
            JournalError: nothing can be recorded any more.
        """
        self._progress.cell_begins(self._cell, self._planned)
        try:
            if self._controls > 0:
                await self._control()
            await self._trials_until_planned()
            if self._controls > 1:
                await self._control()
        except InfraError as error:
            self._records.journal.write("failure", cell=self._cell.id, error=str(error))
            self.campaign.failure = str(error).partition("\nCommand line:")[0]
        return self.campaign

    # --- the host's arm ---

    async def _trials_until_planned(self) -> None:
        barren = 0
        if self._seconds is not None:
            self._until_ns = self._host.clock.now_ns() + int(self._seconds * 1e9)
        # A loss ends its machine, so it is enough to ask between machines.
        while self._rule.ask(self._trials, self.campaign.bug_losses) is Advice.GO_ON:
            if self._time_is_up():
                return
            before = self.campaign.attempts
            try:
                async with await self._start(Arm.HOST) as machine:
                    await self._use(machine)
                self._note_console(machine)
            except MACHINE_TROUBLE as error:
                self._records.journal.write("failure", cell=self._cell.id, error=str(error))
                barren = barren + 1 if self.campaign.attempts == before else 0
                if barren == MAX_BARREN_MACHINES:
                    raise

    def _time_is_up(self) -> bool:
        """Whether the time for this cell's trials has passed."""
        if self._until_ns is not None and self._trials < self._planned:
            self.campaign.out_of_time = self._host.clock.now_ns() >= self._until_ns
        return self.campaign.out_of_time

    async def _use(self, machine: Machine) -> None:
        """Run trials on one machine until one of them is not plain ticking.

        Each save is of the guest as its last load left it; a cell that wants only guests
        that were never loaded gets a new machine after each.
        """
        pace = Pace()
        saver = Saver(machine, self._snapshots, pace, self._limits)
        save: Save | None = None
        aim = self._cell.phase
        while self._trials < self._planned and not self._time_is_up():
            try:
                if save:
                    await self._snapshots.delete(machine, save.tag)
                save, rejected = await saver.take(
                    f"save{self.campaign.saves + 1}", aim.draw(self._rng),
                    within=aim.within, expired=aim.expired,
                )  # fmt: skip
            except (NoSaveError, MonitorError) as error:
                if save and (result := await self._after_its_loads(machine, error)):
                    await self._count(machine, save, result)
                    return
                raise
            self.campaign.saves += 1
            self.campaign.by_save.begin()
            for attempt in rejected:
                self._records.save(self._cell, Arm.HOST, attempt)
            self._records.save(self._cell, Arm.HOST, save)
            for _ in range(min(self._cell.loads_per_save, self._planned - self._trials)):
                trial = Trial(machine, self._snapshots, save, pace, self._limits)
                result = await trial.run()
                self._note_loader(machine)
                outcome = await self._count(machine, save, result)
                if not outcome.ticked or self._time_is_up():
                    return
            self._note_trace(machine)
            if self._cell.cycle is CycleKind.FRESH:
                return

    async def _after_its_loads(
        self, machine: Machine, error: NoSaveError | MonitorError
    ) -> TrialResult | None:
        """Say what a guest came to that had plainly ticked after its loads, and then did not.

        A silence or a crash counts as one more trial of the last save; a QEMU that
        was ended or stalled, as an attempt that ended unknown.
        """
        silence = error.silence if isinstance(error, NoSaveError) else None
        if silence is None and not isinstance(error, NoSaveError):
            silence = await how_it_ended(machine)
        outcomes = {Quiet.SILENT: Outcome.LOST, Quiet.CRASHED: Outcome.CRASHED}
        if silence is None or silence.quiet not in outcomes:
            self.campaign.attempts += 1
            self.campaign.unknown_attempts += 1
            return None
        return TrialResult(
            outcome=outcomes[silence.quiet],
            first_tick=None,
            missing_periods=0,
            why=f"ticks went on after its last load; later, {error}",
            ticks_after_load=2,
            stale_bytes=0,
            duration_ns=0,
        )

    async def _count(self, machine: Machine, save: Save, result: TrialResult) -> Outcome:
        """Count and journal an attempt; return its outcome, as its diagnosis corrects it."""
        campaign = self.campaign
        hang = None if result.outcome.ticked else await self._examine(machine, save, result)
        diagnosis = hang[0] if hang else None
        if diagnosis:
            result = settle(result, diagnosis)
        outcome, number, attempt = result.outcome, self._trials + 1, self._attempt
        campaign.attempts += 1
        campaign.unknown_attempts += outcome is Outcome.UNKNOWN
        if outcome is Outcome.UNKNOWN and attempt < MAX_ATTEMPTS:
            self._attempt += 1
        else:
            self._attempt = 1
            self._trials += 1
            campaign.outcomes[outcome] += 1
            campaign.lossy_saves += outcome is Outcome.LOST
            if outcome is not Outcome.UNKNOWN:
                campaign.by_save.count(lost=outcome is Outcome.LOST)
            if diagnosis:
                campaign.causes[diagnosis.cause] += 1
                campaign.bug_losses += (
                    diagnosis.cause is Cause.LOST_INTERRUPT
                    and result.ticks_after_load == 0
                    and self._cell.mode is TimerMode.ONE_SHOT
                )
        if result.first_tick:
            campaign.first_tick_periods.append(result.first_tick.periods)
            campaign.first_tick_ms.append(result.first_tick.ms)
        if diagnosis:
            self._progress.diagnosed(self._cell, diagnosis)
        self._progress.attempt_ends(self._cell, outcome, self._trials, self._planned)
        self._records.trial(self._cell, Arm.HOST, number, attempt, save, result, hang)
        return outcome

    # --- the control's arm ---

    async def _control(self) -> None:
        """Inject a loss, and see whether it is seen. Tried again if no save could be had."""
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                control = await self._control_once(attempt)
            except MACHINE_TROUBLE as error:
                self._records.journal.write("failure", cell=self._cell.id, error=str(error))
                if attempt == MAX_ATTEMPTS:
                    raise
                continue
            if control.outcome is not Outcome.UNKNOWN:
                break
        self.campaign.controls.append(control)
        self._progress.control_seen(self._cell, control.seen)

    async def _control_once(self, attempt: int) -> Control:
        async with await self._start(Arm.CONTROL) as machine:
            pace = Pace()
            saver = Saver(machine, self._snapshots, pace, self._limits)
            save = await saver.take_control("control")
            self._records.save(self._cell, Arm.CONTROL, save)
            result = await Trial(machine, self._snapshots, save, pace, self._limits).run()
            hang = None if result.outcome.ticked else await self._examine(machine, save, result)
            number = len(self.campaign.controls) + 1
            self._records.trial(self._cell, Arm.CONTROL, number, attempt, save, result, hang)
        diagnosis = hang[0] if hang else None
        cause = diagnosis.cause if diagnosis else None
        if self._cell.mode is TimerMode.PERIODIC:
            # A periodic timer can't be silenced so: its swallowed ticks are missing periods.
            seen = result.outcome is Outcome.MISSED
        else:
            seen = result.outcome is Outcome.LOST and cause is Cause.LOST_INTERRUPT
        return Control(
            seen=seen,
            outcome=result.outcome,
            cause=cause,
            sentence=diagnosis.sentence if diagnosis else result.why,
        )

    # --- both ---

    async def _start(self, arm: Arm) -> Machine:
        cell = self._cell
        config = cell.machine_config(
            control_tick=CONTROL_TICK if arm is Arm.CONTROL else 0,
            # A periodic timer's ticks go on after the window, which must end
            # before the guest counts as silent.
            control_periods=3 if cell.mode is TimerMode.PERIODIC else 6,
        )
        config = replace(config, disk=self._snapshots.needs_disk)
        number, console = self._records.next_console()
        machine = await Machine.start(self._host, config, console)
        try:
            self._records.machine(cell, arm, number, machine)
        except BaseException:
            await machine.kill()
            raise
        return machine

    async def _examine(self, machine: Machine, save: Save, result: TrialResult) -> Hang:
        """Gather the evidence of an outcome that was not plain ticking, and say what it was."""
        silent = result.outcome not in (Outcome.MISSED, Outcome.RECOVERED)
        evidence = await gather(machine, self._limits, look=silent)
        if not silent:
            return None, evidence
        cell = self._cell
        return diagnose(result, evidence, save, cell.mode, cell.period_ns), evidence

    def _note_console(self, machine: Machine) -> None:
        if machine.console.tee_error:
            self._records.journal.write(
                "failure", cell=self._cell.id,
                error=f"the copy of a console ends early: {machine.console.tee_error}",
            )  # fmt: skip

    def _note_loader(self, machine: Machine) -> None:
        if self._snapshots.new_process and machine.generation and not self._loader_noted:
            self._loader_noted = True
            self._records.loader(self._cell, machine)

    def _note_trace(self, machine: Machine) -> None:
        if self.campaign.trace is None and machine.process.tracer:
            self.campaign.trace = machine.process.tracer.read()
