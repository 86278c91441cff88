"""Takes saves at a chosen phase of the timer period."""

from dataclasses import replace

from orchestrator.errors import InfraError
from orchestrator.findings.arrival import Arrival
from orchestrator.findings.save import Save
from orchestrator.guest.lines import Tick
from orchestrator.snapshot.protocol import Snapshots
from orchestrator.trial.asleep import phases_asleep
from orchestrator.trial.guest_clock import Reading
from orchestrator.trial.kvmclock_rate import wrong_kvmclock_rate
from orchestrator.trial.last_turn import with_last_turns
from orchestrator.trial.limits import Limits
from orchestrator.trial.look import (
    ANY_PHASE,
    EARLIEST_PHASE,
    LATEST_PHASE,
    advice,
    describe,
    look,
    look_again,
)
from orchestrator.trial.pace import Paces
from orchestrator.trial.watch import MOST_OLD_TICKS, Heard, Quiet, Unclear, Watch
from orchestrator.vm.config import Accel
from orchestrator.vm.instance import Instance

#: Periods after which the timer of a stopped instance has certainly expired.
EXPIRED_PERIODS = 1.25

#: Attempts to hit a phase before giving up.
ATTEMPTS = 60

#: Misses after which a wider range of phases is accepted, where there is one.
WIDEN_AFTER = 5

#: Ticks to wait for until the pace is known.
LEARNING_TICKS = 100


class NoSaveError(InfraError):
    """No save could be taken."""

    def __init__(self, message: str, quiet: Quiet | None = None) -> None:
        super().__init__(message)
        self.quiet = quiet
        """Why no tick came, if that is the reason."""

    @property
    def transient(self) -> bool:
        """True unless the guest was proven silent or ended: then the host was not the reason."""
        return self.quiet is None or isinstance(self.quiet, Unclear)


class Saver:
    """Takes saves of one instance."""

    def __init__(
        self, instance: Instance, snapshots: Snapshots, paces: Paces, limits: Limits
    ) -> None:
        """Prepare.

        Args:
            instance: the instance to save.
            snapshots: the snapshot method.
            paces: the pace of each vCPU; what is learnt goes there.
            limits: limits of silence for the guest's period.
        """
        self._instance = instance
        self._snapshots = snapshots
        self._paces = paces
        self._limits = limits
        self._since_tick_ns = 0
        self.gap: tuple[Tick, Tick] | None = None
        """Two successive ticks of the first vCPU since the instance was last started by
        `stop_at`; None if the last stop found it running."""
        self._watches = [Watch(instance, limits, vcpu) for vcpu in instance.vcpus]
        paces.begin(instance.period_cycles)

    async def learn_pace(self) -> None:
        """Let the guest tick until the pace of each vCPU is known.

        Raises:
            NoSaveError: a vCPU does not tick.
        """
        for vcpu in self._instance.vcpus:
            if not self._paces[vcpu].known:
                await self._learn(vcpu)

    async def _learn(self, vcpu: int) -> None:
        pace = self._paces[vcpu]
        before = first = await self._next_tick(vcpu)
        for _ in range(LEARNING_TICKS):
            if pace.known:
                rate = pace.cycles_per_ns(self._limits.period_ns)
                pace.clocks.spread.learn(vcpu, first.line, rate)
                return
            heard = await self._next_tick(vcpu)
            pace.observe(before.line, heard.line)
            before = heard
        raise NoSaveError(
            "learning the guest's pace: it spends nearly all of its period on printing. "
            "It needs a longer --period here."
        )

    async def _next_tick(self, vcpu: int = 0) -> Heard[Tick]:
        heard = await self._watches[vcpu].tick(self._limits.silence_ns, confirm=True)
        if not isinstance(heard, Heard):
            raise NoSaveError(f"waiting for a tick of the guest: {heard.why}", heard)
        self._paces[vcpu].clocks.hear(heard.line, heard.at_ns)
        return heard

    async def take(
        self,
        tag: str,
        phase: float,
        *,
        within: tuple[float, float] = (EARLIEST_PHASE, LATEST_PHASE),
        wide: tuple[float, float] | None = None,
        expired: bool = False,
    ) -> tuple[Save, list[Save]]:
        """Take an eligible save at about `phase`, and let the guest run on to its own next tick.

        Args:
            tag: the save's name.
            phase: where in the period to stop, 0 to 1.
            within: phases that are good enough.
            wide: phases that are good enough after some misses; by default the same.
            expired: whether to leave the stopped instance alone until its timer has expired.

        Returns:
            The save, and the attempts that were not eligible and therefore not saved.

        Raises:
            NoSaveError: the guest does not tick, or no attempt was eligible.
            MonitorError: QEMU failed at a command.
        """
        instance, period_ns = self._instance, self._limits.period_ns
        await instance.pin()
        rejected: list[Save] = []
        for attempt in range(ATTEMPTS):
            if attempt == WIDEN_AFTER and wide:
                within = wide
            tick = await self.stop_at(phase)
            stopped_ns = instance.clock.now_ns()
            if expired:
                await instance.clock.sleep(int(EXPIRED_PERIODS * period_ns))
            save = await self.look_at_all(tag, phase, within)
            self.correct_aim(save, tick)
            if save.eligible:
                stopped_periods = (instance.clock.now_ns() - stopped_ns) / period_ns
                await self._snapshots.save(instance, tag)
                saved_ns = instance.clock.now_ns()
                save = await look_again(instance, save)
                if save.eligible:
                    widened = attempt >= WIDEN_AFTER and wide is not None
                    save = replace(save, widened=widened, saved_ns=saved_ns)
                    save = self._timed(save, stopped_periods)
                    await self._prove(save)
                    save = with_last_turns(save, self._paces, stopped_ns, period_ns)
                    return save, rejected
                await self._snapshots.delete(instance, tag)
            rejected.append(save)
        reasons = sorted({reason for save in rejected for reason in save.ineligible})
        raise NoSaveError(
            f"taking a save at phase {phase:.2f}: none of {ATTEMPTS} attempts was eligible "
            f"({', '.join(reasons)}). {advice(rejected, expired=expired)}"
        )

    async def stop_at(self, phase: float) -> Tick:
        """Stop the instance at about `phase` of a period; return the tick that began the period.

        The instance is started before if it does not run.

        Raises:
            NoSaveError: the guest does not tick.
            MonitorError: QEMU failed at a command.
        """
        instance, period_ns = self._instance, self._limits.period_ns
        torn: Tick | None = None
        if not instance.running:
            torn = await self.run_on()
        await self.learn_pace()
        phase += instance.config.timer.saved_after
        after = phase - self._paces[0].printing_periods
        after_ns = int(after * period_ns - self._paces.stop_delay.ns)
        began = self._paces[0].last
        if not began or began.at_ns + after_ns <= instance.clock.now_ns():
            heard = await self._next_tick()
            self.gap = (torn, heard.line) if torn else None
            for _ in range(LEARNING_TICKS):
                if instance.clock.now_ns() - heard.at_ns < period_ns / 2:
                    break
                heard = await self._next_tick()  # this tick came while other vCPUs were awaited
            began = Arrival(heard.line, heard.at_ns)
        left_ns = began.at_ns + after_ns - instance.clock.now_ns()
        if left_ns > 0:
            await instance.clock.sleep(left_ns)
        await self.stop()
        self._since_tick_ns = instance.clock.now_ns() - began.at_ns
        return began.tick

    async def stop(self) -> None:
        """Stop the instance, wherever in a period it is.

        Raises:
            MonitorError: QEMU failed at the command.
        """
        await self._instance.stop()
        self._paces[0].last = None

    async def run_on(self) -> Tick:
        """Let the stopped instance run until each vCPU has ticked.

        Returns:
            The first tick of the first vCPU. The stop tore the period before it.

        Raises:
            NoSaveError: a vCPU does not tick.
            MonitorError: QEMU failed at the command.
        """
        instance = self._instance
        cont_ns = instance.clock.now_ns()
        await self._cont()
        instance.console.drain()
        for vcpu in reversed(instance.vcpus):
            heard = await self._next_tick(vcpu)
            if instance.config.accel is Accel.TCG:  # the TSC stood still with the instance
                tsc = heard.line.tsc
                self._paces[vcpu].clocks.tsc.restart(anchor=Reading(tsc, cont_ns))
                self._paces[vcpu].clocks.tsc.hear(Reading(tsc, heard.at_ns))
        return heard.line

    def correct_aim(self, save: Save, tick: Tick) -> float:
        """Learn from where a stop landed; return its error in periods.

        An error of a period or more comes from a stalled host and teaches nothing.

        Args:
            save: the instance as the stop left it.
            tick: the tick that began the period.
        """
        timer, first = self._instance.config.timer, save.first
        # Early ticks are not held back yet.
        gap = max(1.0, timer.gap_periods(self._paces[0].printing_periods + first.hold))
        since_tick = first.phase + gap * (first.ticks - tick.sequence)
        off = since_tick - save.intended_phase - timer.saved_after
        if abs(off) < 1:
            self._paces.stop_delay.observe(off * self._limits.period_ns)
        return off

    async def look_at_all(
        self, tag: str, phase: float, within: tuple[float, float] = ANY_PHASE
    ) -> Save:
        """Describe every vCPU of the stopped instance. The phase was chosen for the first one."""
        instance = self._instance
        seen = [await look(instance, vcpu) for vcpu in instance.vcpus]
        phases = phases_asleep(
            [state for state, _, _ in seen], instance.config.guest, self._paces[0],
            self._since_tick_ns,
        )  # fmt: skip
        vcpus = [
            describe(
                seen[vcpu], self._paces[vcpu].progress_per_period,
                instance.config, printing_periods=self._paces[vcpu].printing_periods,
                within=within if vcpu == 0 else ANY_PHASE, vcpu=vcpu, phase=phases[vcpu],
                cycles_per_period=self._paces[vcpu].known_cycles,
                kvmclock_rate=wrong_kvmclock_rate(
                    self._paces[vcpu], seen[vcpu][0], self._limits.period_ns
                ),
            )
            for vcpu in instance.vcpus
        ]  # fmt: skip
        return Save(tag, phase, tuple(vcpus), instance.generation)

    def _timed(self, save: Save, stopped_periods: float) -> Save:
        """Return the save with how long it was stopped, and whether its timer expired meanwhile."""
        config = self._instance.config
        runs_on = not config.timer_stands_in_stop and not config.timer.may_wait
        vcpus = (
            replace(part, expired=part.phase + stopped_periods > 1 and runs_on)
            for part in save.vcpus
        )
        return replace(save, stopped_periods=stopped_periods, vcpus=tuple(vcpus))

    async def _prove(self, save: Save) -> None:
        """Let the guest run on until its own next tick has come: the saved timer was alive.

        A timer that had stopped would look armed in the save, and its silence after a load
        would look like a loss.

        Raises:
            NoSaveError: a vCPU does not tick.
            MonitorError: QEMU failed at a command.
        """
        await self._cont()
        for part in save.vcpus:
            for _ in range(MOST_OLD_TICKS):
                heard = await self._next_tick(part.vcpu)
                if heard.line.sequence > part.ticks:
                    break
            else:
                raise NoSaveError(
                    f"letting the saved guest run on: its ticks do not go on from number "
                    f"{part.ticks}, but go up to {heard.line.sequence}"
                )

    async def _cont(self) -> None:
        await self._instance.cont()
        for pace in self._paces:
            pace.clocks.stood()
