"""Follows the ticks of one vCPU after a load, and says what they show."""

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.findings.outcome import FirstTick, Outcome, VcpuResult
from orchestrator.findings.save import VcpuSave
from orchestrator.guest.lines import Tick
from orchestrator.guest.wait import Wait
from orchestrator.timers.first_tick import MISSING, classify
from orchestrator.trial.limits import Limits
from orchestrator.trial.pace import Pace
from orchestrator.trial.resume import Resumed
from orchestrator.trial.watch import Heard, Silence, Watch
from orchestrator.vm.instance import Instance

#: A line whose sequence number is further ahead than this is not believed.
MOST_LINES_AHEAD = 4

#: How long after a load into a running guest lines from before the load can still arrive, by
#: the host's clock.
STALE_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Finding:
    """The outcome that the ticks of a vCPU show."""

    outcome: Outcome
    why: str = ""
    missing_periods: int = 0


class Follower:
    """Follows one vCPU from `cont` on, for two ticks."""

    def __init__(
        self,
        instance: Instance,
        save: VcpuSave,
        pace: Pace,
        limits: Limits,
        *,
        resumed: Resumed,
        due: Mapping[Outcome, tuple[float, float]] | None = None,
    ) -> None:
        """Prepare.

        Args:
            instance: has loaded the save and resumed.
            save: the vCPU's state in the save.
            pace: the vCPU's pace.
            limits: limits of silence for the guest's period.
            resumed: when the instance resumed.
            due: when the first tick is due, by class; by default as the timer says of a load.
        """
        self._instance = instance
        self._save = save
        self._pace = pace
        self._limits = limits
        self._resumed = resumed
        self._due = due
        self._watch = Watch(instance, limits, save.vcpu)
        self._first: FirstTick | None = None
        self._heard = 0

    async def run(self) -> VcpuResult:
        """Follow the vCPU, and return what its ticks show."""
        found = await self._follow()
        return VcpuResult(
            outcome=found.outcome,
            first_tick=self._first,
            missing_periods=found.missing_periods,
            why=found.why,
            ticks_after_load=self._heard,
            vcpu=self._save.vcpu,
        )

    async def _follow(self) -> _Finding:
        first = await self._await_tick(self._save.ticks, stale=self._resumed.by_itself)
        if not isinstance(first, Heard):
            return first
        second = await self._await_tick(first.line.sequence)
        if not isinstance(second, Heard):
            why = f"one tick came after the load, then: {second.why}"
            return _Finding(second.outcome, why, second.missing_periods)
        if first.line.sequence != self._save.ticks + 1:
            # The vCPU ticks; but a load that did not load anything would look the same.
            number = first.line.sequence - self._save.ticks
            return _Finding(
                Outcome.UNKNOWN, f"the first line after the load was that of tick {number}"
            )
        self._pace.observe(first.line, second.line)
        return await self._classify(first, second)

    async def _await_tick(self, after: int, *, stale: bool = False) -> Heard[Tick] | _Finding:
        """Wait for a tick with a sequence number beyond `after`.

        Args:
            after: sequence number of the tick before.
            stale: whether ticks from before the load may come first. Their numbers are beyond
                that of the next tick.
        """
        until_ns = self._instance.clock.now_ns() + STALE_NS
        heard = await self._watch.tick(self._limits.silence_ns, confirm=True)
        while stale and isinstance(heard, Heard) and heard.line.sequence > after + 1:
            if heard.at_ns > until_ns:
                return _Finding(
                    Outcome.UNKNOWN,
                    f"ticks from before the load went on for {STALE_NS / 1e9:g} s after it, up to "
                    f"tick {heard.line.sequence}: the load had no effect",
                )
            heard = await self._watch.tick(self._limits.silence_ns, confirm=True)
        if isinstance(heard, Silence):
            return await self._leave_alone(heard)
        if not isinstance(heard, Heard):
            return _Finding(heard.outcome, heard.why)
        if after < heard.line.sequence <= after + MOST_LINES_AHEAD:
            self._heard += 1
            return heard
        return _Finding(
            Outcome.UNKNOWN, f"a line of tick {heard.line.sequence}, where {after + 1} was due"
        )

    async def _leave_alone(self, silence: Silence) -> _Finding:
        """Leave a silent vCPU alone for some more periods: it may tick unaided."""
        after = await self._watch.tick(self._limits.untouched_ns, since=silence.until)
        if isinstance(after, Heard):
            return _Finding(Outcome.RECOVERED, f"{silence.why}, then it ticked unaided")
        if not isinstance(after, Silence):
            return _Finding(after.outcome, f"{silence.why}, then: {after.why}")
        total_ms = (silence.vcpu_ns + after.vcpu_ns) / 1e6
        return _Finding(Outcome.LOST, f"no tick in {total_ms:.0f} ms of {silence.clock}")

    async def _classify(self, first: Heard[Tick], second: Heard[Tick]) -> _Finding:
        """Return the class of the first tick, if the second one came a period after it."""
        period_ns, pace, config = self._limits.period_ns, self._pace, self._instance.config
        elapsed_ns = first.at_ns - self._resumed.since_ns
        wall_periods = max(0.0, elapsed_ns / period_ns - pace.printing_periods)
        # A guest that sleeps makes no progress: only the host's clock measures across a load,
        # and only the TSC measures from tick to tick.
        sleeps = config.guest.wait is Wait.HALT
        since_save = (first.line.progress - self._save.progress) / pace.progress_per_period
        self._first = FirstTick(
            periods=wall_periods if sleeps else since_save,
            wall_periods=wall_periods,
            ms=elapsed_ns / 1e6,
        )
        due = self._due or config.timer.due(self._save.phase, self._resumed.timing)
        outcome, missing = classify(self._first, due, self._resumed.timing)
        late = min(self._first.periods, self._first.wall_periods) - 1
        # Guest progress and host time must both say that the second tick is late.
        cycles = second.line.tsc - first.line.tsc
        spun = second.line.progress / pace.progress_per_period + pace.printing_periods
        gap = min(
            cycles / pace.cycles_per_period if sleeps else spun,
            (second.at_ns - first.at_ns) / period_ns,
        )
        if gap >= MISSING:
            outcome, missing = Outcome.MISSED, missing + (round(gap) - 1 or 1)
            late = max(late, gap - 1)
        if outcome is not Outcome.MISSED:
            return _Finding(outcome)
        prompt = self._instance.clock.now_ns() - second.at_ns < period_ns
        if config.lapic_is_qemus and prompt:
            # QEMU's main loop fires this LAPIC: a tick is late whenever that loop waits.
            waited = await self._instance.waited_ns() / period_ns
            if late - waited < MISSING - 1:
                return _Finding(
                    Outcome.INDISTINCT,
                    f"a tick came {late:.1f} periods late, but QEMU's threads had to wait "
                    f"{waited:.1f} periods for a CPU",
                )
        return _Finding(outcome, f"{missing} period(s) passed without their tick", missing)
