"""The campaign of one cell: a control, the trials, another control."""

import contextlib
from collections.abc import AsyncIterator

from orchestrator.campaign.controls import ControlMissingError, Controls
from orchestrator.campaign.cut_off import cut_off
from orchestrator.campaign.events import Progress
from orchestrator.campaign.instances import Instances
from orchestrator.campaign.overdue import Overdue
from orchestrator.campaign.pauses import Patience, Pauses
from orchestrator.campaign.phases import Phases
from orchestrator.campaign.room import Room
from orchestrator.campaign.sham_guest import ShamGuest
from orchestrator.campaign.shams import Shams
from orchestrator.campaign.silent_later import silent_later, stopped_unloaded
from orchestrator.campaign.trouble import (
    INSTANCE_TROUBLE,
    MAX_BARREN_INSTANCES,
    GivenUpError,
    check_host,
)
from orchestrator.campaign.turns import TakesTurns
from orchestrator.errors import InfraError
from orchestrator.findings.outcome import Outcome, TrialResult
from orchestrator.findings.save import Save
from orchestrator.guest.registry import GUESTS
from orchestrator.host.protocol import Host
from orchestrator.journal.counts import CellState
from orchestrator.journal.file import JournalError
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import OutOfTimeRecord
from orchestrator.journal.trial_record import Role
from orchestrator.plan.cell import SAME_QEMU, Cell
from orchestrator.qmp.errors import MonitorError
from orchestrator.snapshot.method import CycleKind
from orchestrator.snapshot.protocol import Snapshots
from orchestrator.stats.stopping import Advice, StoppingRule
from orchestrator.trial import left_behind
from orchestrator.trial.aim import NoSaveError, Saver
from orchestrator.trial.examine import Hang
from orchestrator.trial.limits import Limits
from orchestrator.trial.pace import Paces
from orchestrator.trial.quiet_gaps import with_gaps
from orchestrator.vm.instance import Instance


class CellRunner:
    """Runs one cell on one host."""

    def __init__(
        self,
        host: Host,
        cell: Cell,
        snapshots: Snapshots,
        *,
        period_ns: int,
        planned: int,
        seconds: float | None = None,
        controls: int = 2,
        rule: StoppingRule | None = None,
        turns: TakesTurns | None = None,
        patience: Patience | None = None,
        recorder: Recorder,
        progress: Progress,
    ) -> None:
        """Prepare the campaign; `run` runs it.

        Args:
            host: the host.
            cell: the cell.
            snapshots: implementation of the cell's snapshot method.
            period_ns: the timer period, which may have been measured.
            planned: number of trials to run.
            seconds: time limit for the trials, by the host's clock; None for no limit.
            controls: injected losses: 2 for one before and one after the trials. A guest
                without a built-in control has none, so that no verdict of it is `clean`.
            rule: may end the cell early; by default it never does.
            turns: turns that the cell takes; by default the cell has the host for itself.
            patience: how long the cells of the run wait for a busy host; by default this cell
                has its own.
            recorder: journal and evidence, and the counts of earlier sessions.
            progress: receives each step.
        """
        self._host = host
        self._cell = cell
        self._snapshots = snapshots
        self._planned = planned
        self._seconds = seconds
        self._planned_controls = controls if GUESTS[cell.guest].control_tick else 0
        self._used_ns = 0
        self._turn_began_ns = 0
        self._turn_until = 0
        self._turns = turns
        self._rule = rule or StoppingRule(planned)
        self._recorder = recorder
        self._progress = progress
        self._pauses = Pauses(host, cell, recorder, progress, patience or Patience())
        self._room = Room(recorder.folder)
        self._phases = Phases(recorder.state.seed, cell)
        self._shams = Shams(cell, planned, recorder, progress)
        self._limits = Limits(period_ns, cell.vcpus)
        self._instances = Instances(host, cell, snapshots, self._limits, recorder)
        self._controls = Controls(cell, self._instances, self._pauses, recorder, progress)
        self._overdue = Overdue(host.clock, cell, self._limits, recorder)
        self._attempt = 1
        self._stopped: Outcome | None = None
        """How the present instance ended, if it stopped ticking before any load."""

    @property
    def counts(self) -> CellState:
        """The counts of the cell, folded from its journal."""
        return self._recorder.state.cells[self._cell.id]

    @property
    def _trials(self) -> int:
        return self.counts.trials

    async def run(self) -> None:
        """Run the cell. A failure of the harness is journalled, not raised.

        Raises:
            JournalError: nothing can be recorded any more.
        """
        self._progress.cell_begins(self._cell, self._planned)
        try:
            # A resumed run whose loads are done has only its last control to take.
            if self._planned_controls > 0 and (self._goes_on() or not self.counts.controls):
                await self._control_in_turn()
            await self._trials_until_planned()
            if self._planned_controls > 1:
                await self._control_in_turn()
        except JournalError:
            raise  # something was not recorded: the run must end, even if the next record fits
        except InfraError as error:
            control = isinstance(error, ControlMissingError)
            self._recorder.failure(self._cell, error, ends_cell=True, control=control)

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Hold a turn, and add its duration to the host's time that the cell has used."""
        turns = self._turns
        turn = turns.turn(self._cell.id, self._trials) if turns else contextlib.nullcontext()
        async with turn:
            self._turn_began_ns = self._host.clock.now_ns()
            self._turn_until = self._trials + (turns.block if turns else self._planned)
            yield

    def _turn_is_over(self) -> bool:
        """Return whether another cell is waiting and this cell has had its block of trials."""
        return bool(self._turns and self._turns.wanted) and self._trials >= self._turn_until

    async def _pause_if_needed(self) -> int:
        """Pause while there is no room, and while the host is too busy; return for how long."""
        waited_ns = await self._room.wait(self._host, self._cell, self._recorder, self._progress)
        return waited_ns + await self._pauses.pause_if_busy()

    # --- trials of the host ---

    async def _trials_until_planned(self) -> None:
        barren = 0
        # A loss ends its instance, so it is enough to ask the rule between instances.
        while self._goes_on() and not self.counts.out_of_time:
            before = self.counts.attempts
            async with self._turn():
                self._turn_began_ns += await self._pause_if_needed()
                self._stopped = None
                try:
                    async with (
                        self._instances.start(Role.HOST) as instance,
                        contextlib.AsyncExitStack() as beside,
                    ):
                        sham_guest = ShamGuest(self._instances, instance, beside)
                        await self._use(instance, sham_guest)
                    self._note_console(instance)
                    if sham_guest.instance:
                        self._note_console(sham_guest.instance)
                except INSTANCE_TROUBLE as error:
                    self._recorder.failure(self._cell, error, stopped=self._stopped)
                    check_host(self._host, error)
                    barren += 1
                    if self.counts.attempts == before:
                        if barren == MAX_BARREN_INSTANCES:
                            raise GivenUpError(error) from error
                        self._turn_began_ns += await self._pauses.rest(barren)
                if self.counts.attempts > before:
                    barren = 0
                self._used_ns += self._host.clock.now_ns() - self._turn_began_ns

    def _goes_on(self) -> bool:
        """Return whether the cell needs another load, for its plan or for its pairs."""
        advice = self._rule.ask(self._trials, self.counts.bug_losses)
        return advice is not Advice.ENOUGH_LOSSES and self._shams.loads_left > 0

    def _time_is_up(self) -> bool:
        """Return whether the time limit for the trials of the cell has passed."""
        counts = self.counts
        if self._seconds is None or counts.out_of_time or not self._shams.loads_left:
            return counts.out_of_time
        used_ns = self._used_ns + self._host.clock.now_ns() - self._turn_began_ns
        if used_ns >= self._seconds * 1e9:
            self._recorder.write(OutOfTimeRecord(self._cell.id))
        return counts.out_of_time

    async def _use(self, instance: Instance, sham_guest: ShamGuest) -> None:
        """Run trials on one instance until one of them is not plain ticking.

        Each save continues from the guest as its last load left it. With the cycle `fresh`,
        the instance ends after the loads of one save, so that no saved guest was ever loaded.
        """
        paces = self._instances.paces(instance)
        saver = Saver(instance, self._snapshots, paces, self._limits)
        save: Save | None = None
        aim = self._cell.phase
        while self._shams.loads_left and not (self._time_is_up() or self._turn_is_over()):
            try:
                overdue = self._overdue
                async with overdue.next_save(instance, save) if save else contextlib.nullcontext():
                    if save:
                        await self._snapshots.delete(instance, save.tag)
                    number = self.counts.saves + 1
                    taken, rejected = await saver.take(
                        f"save{number}", self._phases.draw(number),
                        within=aim.within, wide=aim.wide, expired=aim.expired,
                    )  # fmt: skip
            except (NoSaveError, MonitorError) as error:
                await self._failed(instance, save, error, next_save=True)
                return
            if save and (odd := left_behind.compare(instance, save, taken)):
                await self._count(instance, save, odd)
                return
            save = with_gaps(instance, taken, paces)
            for attempt in rejected:
                self._recorder.save(self._cell, Role.HOST, attempt)
            self._recorder.save(self._cell, Role.HOST, save)
            loads = 0
            while loads < self._cell.loads_per_save and self._shams.loads_left:
                if self._shams.due:
                    ticks = self._shams.ticks(save, loads + 1)
                    outcome = await self._sham(saver, paces, sham_guest, save, ticks)
                else:
                    loads += 1
                    outcome = await self._load(instance, save, paces, loads)
                if not outcome.ticked:
                    return
                if self._time_is_up():
                    break
            await self._instances.note_trace(instance)
            if self._cell.cycle is CycleKind.FRESH or self._cell.loader != SAME_QEMU:
                break  # the next save is of a guest in a new QEMU
            if self._room.lacking() or await self._pauses.wanted():
                break  # before the next QEMU starts, the cell waits
        if save:
            period_ns = self._limits.period_ns
            if odd := await left_behind.look_for(instance, save, paces, period_ns):
                await self._count(instance, save, odd)

    async def _load(self, instance: Instance, save: Save, paces: Paces, number: int) -> Outcome:
        """Run a trial and count it."""
        pair, trial = self._shams.pair, self._instances.trial(instance, save, paces)
        trial.ticks = self._shams.ticks(save, number)
        async with self._overdue.load(instance, save, self._shams.loading_ns):
            result = await trial.run()
        self._shams.loading_ns = trial.loading_ns or self._shams.loading_ns
        self._instances.note_loader(instance)
        return await self._count(instance, save, result, pair)

    async def _sham(
        self, saver: Saver, paces: Paces, guest: ShamGuest, save: Save, ticks: int
    ) -> Outcome:
        """Run a sham in a guest that was never loaded, while the loaded guest stands still."""
        try:
            result = await self._shams.run(guest, saver, paces, self._limits, save, ticks)
        except (NoSaveError, MonitorError) as error:
            return await self._failed(guest.acting, save, error)
        return result.outcome

    async def _failed(
        self,
        instance: Instance | None,
        save: Save | None,
        error: NoSaveError | MonitorError,
        *,
        next_save: bool = False,
    ) -> Outcome:
        """Count a guest that failed after its last load; raise the error of one without a load."""
        if save is None or not (instance and instance.generation):
            self._stopped = await stopped_unloaded(instance, error) if instance else None
            raise error
        result = await silent_later(instance, error)
        return await self._count(instance, save, result, next_save=next_save)

    async def _count(
        self,
        instance: Instance,
        save: Save,
        result: TrialResult,
        pair: int | None = None,
        *,
        next_save: bool = False,
    ) -> Outcome:
        """Examine and journal an attempt; return its outcome as corrected by the diagnosis."""
        before, attempt = self.counts.trials, self._attempt

        def record(result: TrialResult, hang: Hang | None) -> None:
            self._recorder.trial(
                self._cell, Role.HOST, before + 1, attempt, save, result, hang, pair,
                next_save=next_save,
            )  # fmt: skip

        if not result.outcome.ticked:
            self._overdue.note(save)
        try:
            result, hang = await self._instances.examine(instance, save, result)
        except BaseException:  # a hang during which a signal came has been seen all the same
            with contextlib.suppress(JournalError):
                record(*cut_off(instance, save, result))
            raise
        outcome = result.outcome
        record(result, hang)
        self._shams.announce()
        done = self.counts.trials
        self._attempt = 1 if done > before else attempt + 1
        self._pauses.note(outcome)
        for each in hang.diagnoses if hang else ():
            self._progress.diagnosed(self._cell, each)
        self._progress.attempt_ends(self._cell, outcome, done, self._planned)
        return outcome

    def _note_console(self, instance: Instance) -> None:
        """Note an instance's console when the instance has ended."""
        self._recorder.console(self._cell, instance)
        if error := instance.console.tee_error:
            self._progress.noted(
                f"{self._cell.id}: the log of a console ends early: {error.strerror}"
            )

    # --- controls ---

    async def _control_in_turn(self) -> None:
        async with self._turn():
            await self._pause_if_needed()
            await self._controls.run()
