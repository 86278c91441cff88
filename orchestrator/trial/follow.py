"""The ticks of one vCPU after a load, and what they say."""

from orchestrator.findings.outcome import FirstTick, Outcome, VcpuResult
from orchestrator.findings.save import VcpuSave
from orchestrator.guest.lines import Tick
from orchestrator.timers.first_tick import MISSING, ResumeTiming, classify
from orchestrator.trial.limits import Limits
from orchestrator.trial.pace import Pace
from orchestrator.trial.watch import Heard, Quiet, Silence, Watch
from orchestrator.vm.instance import Instance

#: What silence of each kind makes of a trial, once `SILENT` is dealt with.
OUTCOMES = {
    Quiet.STALLED: Outcome.UNKNOWN,
    Quiet.NO_ANSWER: Outcome.UNKNOWN,
    Quiet.PAUSED: Outcome.UNKNOWN,
    Quiet.KILLED: Outcome.UNKNOWN,
    Quiet.CRASHED: Outcome.CRASHED,
}


class Follower:
    """Follows one vCPU from `cont` on, for two ticks."""

    def __init__(
        self,
        instance: Instance,
        save: VcpuSave,
        pace: Pace,
        limits: Limits,
        *,
        cont_ns: int,
        resumed: ResumeTiming,
    ) -> None:
        """Prepare.

        Args:
            instance: in which the save has been loaded, and that goes on.
            save: what was true of this vCPU in it.
            pace: of this vCPU.
            limits: of its period.
            cont_ns: when the instance was told to go on, by its host's clock.
            resumed: when the instance resumed.
        """
        self._instance = instance
        self._save = save
        self._pace = pace
        self._limits = limits
        self._cont_ns = cont_ns
        self._resumed = resumed
        self._watch = Watch(instance, limits, save.vcpu)
        self._first: FirstTick | None = None
        self._heard = 0

    async def run(self) -> VcpuResult:
        """Follow it, and say what its ticks did."""
        outcome, why, missing = await self._run()
        return VcpuResult(
            outcome=outcome,
            first_tick=self._first,
            missing_periods=missing,
            why=why,
            ticks_after_load=self._heard,
            vcpu=self._save.vcpu,
        )

    async def _run(self) -> tuple[Outcome, str, int]:
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
        return await self._judge(first, second)

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
            return OUTCOMES[heard.quiet], heard.why, 0
        return await self._untouched(heard)

    async def _untouched(self, silence: Silence) -> tuple[Outcome, str, int]:
        """Leave a silent guest alone for some more periods: does it tick by itself?"""
        why = f"no tick in {silence.vcpu_ns / 1e6:.0f} ms of vCPU time"
        after = await self._watch.tick(self._limits.untouched_ns, since=silence.until)
        if isinstance(after, Heard):
            return Outcome.RECOVERED, f"{why}, then it ticked unaided", 0
        if after.quiet is not Quiet.SILENT:
            return OUTCOMES[after.quiet], f"{why}, then: {after.why}", 0
        total_ms = (silence.vcpu_ns + after.vcpu_ns) / 1e6
        return Outcome.LOST, f"no tick in {total_ms:.0f} ms of vCPU time", 0

    async def _judge(self, first: Heard[Tick], second: Heard[Tick]) -> tuple[Outcome, str, int]:
        period_ns, pace = self._limits.period_ns, self._pace
        elapsed_ns = first.at_ns - self._cont_ns
        self._first = FirstTick(
            periods=(first.line.spins - self._save.spins) / pace.spins_per_period,
            wall_periods=max(0.0, elapsed_ns / period_ns - pace.printing_periods),
            ms=elapsed_ns / 1e6,
        )
        due = self._instance.config.timer.due(self._save.phase, self._resumed)
        outcome, missing = classify(self._first, due, self._resumed)
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
        prompt = self._instance.clock.now_ns() - second.at_ns < period_ns
        if self._instance.config.lapic_is_qemus and prompt:
            # Then a tick is late whenever QEMU's main loop does not get to run.
            waited = await self._instance.waited_ns() / period_ns
            if late - waited < MISSING - 1:
                return (
                    Outcome.INDISTINCT,
                    f"a tick came {late:.1f} periods late, but QEMU's threads had to wait "
                    f"{waited:.1f} periods for a CPU",
                    0,
                )
        return outcome, f"{missing} period(s) passed without their tick", missing
