"""A sham: all that a trial does to a guest, except for the load.

The guest is stopped, stays stopped for as long as a load takes, and goes on. Its ticks are
followed by the same rules as after a load. A tick that comes late after a sham is the host's
own noise.
"""

from collections.abc import Mapping
from dataclasses import replace

from orchestrator.clock import ClockMark
from orchestrator.findings.outcome import Outcome, TrialResult, VcpuResult, combine
from orchestrator.findings.save import Save, VcpuSave
from orchestrator.guest.saved_state import SavedState
from orchestrator.qmp.errors import CommandFailedError, MonitorError
from orchestrator.timers.first_tick import AT_ONCE, ResumeTiming
from orchestrator.timers.held import HELD
from orchestrator.trial.aim import Saver
from orchestrator.trial.follow import LEAST_TICKS, Follower, follow_all
from orchestrator.trial.limits import Limits
from orchestrator.trial.pace import Paces
from orchestrator.trial.resume import Resumed, continue_guest
from orchestrator.trial.slewed import unless_slewed
from orchestrator.trial.suspended import unless_suspended
from orchestrator.trial.watch import how_it_ended
from orchestrator.vm.instance import Instance

#: Phases at which a guest may be stopped for a sham: none of its ticks is near.
WITHIN = (0.1, 0.9)

#: Attempts to stop the guest at such a phase.
ATTEMPTS = 20


class Sham:
    """Stops the guest and continues it, and watches the ticks."""

    def __init__(self, instance: Instance, saver: Saver, paces: Paces, limits: Limits) -> None:
        """Prepare.

        Args:
            instance: a ticking instance, running or stopped.
            saver: stops the instance at a phase.
            paces: the pace of each vCPU.
            limits: limits of silence for the guest's period.
        """
        self._instance = instance
        self._saver = saver
        self._paces = paces
        self._limits = limits

    async def run(
        self, tag: str, phase: float, pause_ns: int, ticks: int = LEAST_TICKS
    ) -> tuple[Save, TrialResult]:
        """Run the sham. After any outcome but plain ticking the caller must end the instance.

        Args:
            tag: names the state in which the guest was stopped. Nothing is saved.
            phase: where in the period to stop the guest.
            pause_ns: how long a load takes.
            ticks: how many ticks of each vCPU to follow.

        Returns:
            The state in which the guest was stopped, and what its ticks did afterwards.

        Raises:
            NoSaveError: the guest does not tick.
            MonitorError: QEMU failed before the guest was stopped.
        """
        clock = self._instance.clock
        began_ns, mark = clock.now_ns(), ClockMark.read(clock)
        stood = await self._stop(tag, phase)
        if not stood.eligible:
            why = f"no state to continue from: {', '.join(stood.ineligible)}"
            results = [VcpuResult(Outcome.UNKNOWN, why=why)]
        else:
            try:
                results = await self._run(stood, clock.now_ns(), pause_ns, ticks)
            except CommandFailedError as error:
                results = [VcpuResult(Outcome.UNKNOWN, why=str(error))]
            except MonitorError as error:
                ended = await how_it_ended(self._instance)
                results = [VcpuResult(ended.outcome, why=f"{error}; {ended.why}")]
        result = replace(combine(results), duration_ns=clock.now_ns() - began_ns)
        result = unless_suspended(self._instance, result)
        return stood, unless_slewed(result, mark.slewed(clock))

    async def _stop(self, tag: str, phase: float) -> Save:
        """Stop the instance between two ticks; return the state that it is in."""
        for _ in range(ATTEMPTS):
            tick = await self._saver.stop_at(phase)
            stood = await self._saver.look_at_all(tag, phase, WITHIN)
            self._saver.correct_aim(stood, tick)
            if stood.eligible:
                break
        return stood

    async def _run(
        self, stood: Save, stopped_ns: int, pause_ns: int, ticks: int
    ) -> list[VcpuResult]:
        instance, period_ns = self._instance, self._limits.period_ns
        config = instance.config
        stands = config.timer_stands_in_stop
        await instance.clock.sleep(pause_ns)
        continued = await continue_guest(instance)
        timing = ResumeTiming(
            answering=continued.answering_ns / period_ns,
            loading=pause_ns / period_ns,
            lapic_stood=stands,
        )
        resumed = Resumed(continued.cont_ns, timing, continued.stale_bytes, load_ns=stopped_ns)
        paused = 0.0 if stands else (continued.cont_ns - stopped_ns) / period_ns
        anew = config.timer.behind_pic and not stands
        return await follow_all(
            Follower(
                instance, part, self._paces[part.vcpu], self._limits, resumed=resumed,
                due=due_after_pause(part, paused, config.guest.state, anew=anew), ticks=ticks,
            )
            for part in stood.vcpus
        )  # fmt: skip


def due_after_pause(
    stood: VcpuSave, paused: float, state: SavedState = SavedState.ARMED, *, anew: bool = False
) -> Mapping[Outcome, tuple[float, float]]:
    """Return when the first tick after a pause without a load is due, in periods.

    The tick may come at any time until the rest of the period has passed. The guest's phase is
    known by its progress, which stands still while the host steals time. The timer goes on, so
    that the rest can be much shorter.

    Args:
        stood: the vCPU as it was stopped.
        paused: how long its timer went on while it was stopped, at least; 0 for a timer that
            stops with its VM.
        state: the state in which the guest holds its LAPIC after each tick.
        anew: whether a whole period may begin as the guest goes on. KVM begins one when QEMU
            writes the timer's state back (`kvm_pit_vm_state_change` in hw/i386/kvm/i8254.c).
    """
    due = {Outcome.REMAINING: (0.0, 1.0 if anew else max(0.0, 1 - stood.phase - paused))}
    held = HELD.get(state)
    if held is None:
        return due
    return {
        kind: (0.0, high) for kind, (_, high) in held.due(due, stood.hold_left, AT_ONCE).items()
    }
