"""One load of one save, and what the ticks did after it."""

from orchestrator.guest.lines import Tick
from orchestrator.host.protocol import QemuStartError
from orchestrator.snapshot import Snapshots
from orchestrator.trial.limits import Limits
from orchestrator.trial.outcome import MISSING, FirstTick, Outcome, TrialResult, classify
from orchestrator.trial.pace import Pace
from orchestrator.trial.save import Save
from orchestrator.trial.watch import CRASH_SIGNALS, Heard, Quiet, Silence, Watch, how_it_ended
from orchestrator.vm.machine import Machine
from orchestrator.vm.monitor import CommandFailedError, MonitorError

#: Markers in the kernel's trace.
MARK_LOAD = "losttick: load"
MARK_CONT = "losttick: cont"

#: What silence of each kind makes of a trial, once `SILENT` is dealt with.
_OUTCOMES = {
    Quiet.STALLED: Outcome.UNKNOWN,
    Quiet.NO_ANSWER: Outcome.UNKNOWN,
    Quiet.PAUSED: Outcome.UNKNOWN,
    Quiet.KILLED: Outcome.UNKNOWN,
    Quiet.CRASHED: Outcome.CRASHED,
}


class Trial:
    """Loads one save and watches the ticks: stop, load, drain, continue, watch.

    Where a load takes a new QEMU, the machine's old one ends instead of being stopped.
    """

    def __init__(
        self, machine: Machine, snapshots: Snapshots, save: Save, pace: Pace, limits: Limits
    ) -> None:
        self._machine = machine
        self._snapshots = snapshots
        self._save = save
        self._pace = pace
        self._limits = limits
        self._watch = Watch(machine, limits)
        # Then a tick is late whenever QEMU's main loop does not get to run.
        self._timer_is_qemus = machine.config.lapic_is_qemus
        self._first: FirstTick | None = None
        self._stale_bytes = 0
        self._heard = 0

    async def run(self) -> TrialResult:
        """Run the trial. After any outcome that is not plain ticking, end this machine."""
        clock = self._machine.clock
        began_ns = clock.now_ns()
        try:
            outcome, why, missing = await self._run()
        except CommandFailedError as error:
            outcome, why, missing = Outcome.UNKNOWN, str(error), 0
        except QemuStartError as error:
            crashed = error.end is not None and -error.end.code in CRASH_SIGNALS
            outcome = Outcome.CRASHED if crashed else Outcome.UNKNOWN
            why, missing = str(error), 0
        except MonitorError as error:
            ended = await how_it_ended(self._machine)
            outcome, why, missing = _OUTCOMES[ended.quiet], f"{error}; {ended.why}", 0
        return TrialResult(
            outcome=outcome,
            first_tick=self._first,
            missing_periods=missing,
            why=why,
            ticks_after_load=self._heard,
            stale_bytes=self._stale_bytes,
            duration_ns=clock.now_ns() - began_ns,
        )

    async def _run(self) -> tuple[Outcome, str, int]:
        machine = self._machine
        if machine.running and not self._snapshots.new_process:
            await machine.stop()
        if machine.process.tracer:
            machine.process.tracer.mark(MARK_LOAD)
        await self._snapshots.load(machine, self._save.tag)
        machine.generation = self._save.generation + 1
        tracer = machine.process.tracer  # perhaps that of a new QEMU
        # The machine stands still: all that the console holds is from before the load.
        self._stale_bytes = machine.console.drain()
        machine.monitor.take_stops()
        if tracer:
            tracer.mark(MARK_CONT)
        if self._timer_is_qemus:
            await machine.mark_waiting()
        cont_ns = machine.clock.now_ns()
        await machine.cont()

        first = await self._await_tick(self._save.ticks)
        if not isinstance(first, Heard):
            return first
        second = await self._await_tick(first.line.sequence)
        if not isinstance(second, Heard):
            outcome, why, missing = second
            return outcome, f"one tick came after the load, then: {why}", missing
        if first.line.sequence != self._save.ticks + 1:
            # Its ticks go on; but a load that did not load would look the same.
            number = first.line.sequence - self._save.ticks
            return Outcome.UNKNOWN, f"the first line that arrived was tick {number}'s", 0
        self._pace.observe(first.line, second.line)
        return await self._judge(first, second, cont_ns)

    async def _await_tick(self, after: int) -> Heard[Tick] | tuple[Outcome, str, int]:
        """Wait for a tick with a sequence number beyond `after`; else say what it was."""
        heard = await self._watch.tick(self._limits.silence_ns, confirm=True)
        if isinstance(heard, Heard):
            if after < heard.line.sequence <= after + 4:
                self._heard += 1
                return heard
            return (
                Outcome.UNKNOWN,
                f"a line of tick {heard.line.sequence}, where {after + 1} was due",
                0,
            )
        if heard.quiet is not Quiet.SILENT:
            return _OUTCOMES[heard.quiet], heard.why, 0
        return await self._untouched(heard)

    async def _untouched(self, silence: Silence) -> tuple[Outcome, str, int]:
        """Leave a silent guest alone for some more periods: does it tick by itself?"""
        why = f"no tick in {silence.vcpu_ns / 1e6:.0f} ms of vCPU time"
        after = await self._watch.tick(self._limits.untouched_ns, silent=True)
        if isinstance(after, Heard):
            return Outcome.RECOVERED, f"{why}, then it ticked unaided", 0
        if after.quiet is not Quiet.SILENT:
            return _OUTCOMES[after.quiet], f"{why}, then: {after.why}", 0
        total_ms = (silence.vcpu_ns + after.vcpu_ns) / 1e6
        return Outcome.LOST, f"no tick in {total_ms:.0f} ms of vCPU time", 0

    async def _judge(
        self, first: Heard[Tick], second: Heard[Tick], cont_ns: int
    ) -> tuple[Outcome, str, int]:
        period_ns, pace = self._limits.period_ns, self._pace
        elapsed_ns = first.at_ns - cont_ns
        self._first = FirstTick(
            periods=(first.line.spins - self._save.spins) / pace.spins_per_period,
            wall_periods=max(0.0, elapsed_ns / period_ns - pace.printing_periods),
            ms=elapsed_ns / 1e6,
        )
        outcome, missing = classify(self._first, self._save.phase)
        late = min(self._first.periods, self._first.wall_periods) - 1
        # The second tick must come a period after the first, by both clocks.
        gap = min(
            second.line.spins / pace.spins_per_period + pace.printing_periods,
            (second.at_ns - first.at_ns) / period_ns,
        )
        if gap >= MISSING:
            outcome, missing = Outcome.MISSED, missing + (round(gap) - 1 or 1)
            late = max(late, gap - 1)
        if outcome is not Outcome.MISSED:
            return outcome, "", 0
        if self._timer_is_qemus:
            waited = await self._machine.waited_ns() / period_ns
            if late - waited < MISSING - 1:
                return (
                    Outcome.INDISTINCT,
                    f"a tick came {late:.1f} periods late, but QEMU's threads had to wait "
                    f"{waited:.1f} periods for a CPU",
                    0,
                )
        return outcome, f"{missing} period(s) passed without their tick", missing
