"""Hyper-V's synthetic timer 0 in direct mode, which KVM emulates. Windows guests tick by it."""

from collections.abc import Mapping

from orchestrator.findings.cause import INTERRUPT_LOST, Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.lapic import Lapic
from orchestrator.guest.lines import Testimony
from orchestrator.guest.state import GuestState
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.timers.armed import ArmedTimer
from orchestrator.timers.first_tick import TOLERANCE, ResumeTiming
from orchestrator.timers.lapic import CONTROL_WINDOW_NS, interrupts_in_the_way
from orchestrator.timers.timer import Hearing


class HvStimer(ArmedTimer):
    """Fires when the reference counter reaches the count that the guest wrote, and is over then.

    Direct mode raises an interrupt of the LAPIC, without a message of the synthetic interrupt
    controller. The reference counter stands while the VM is stopped, and QEMU restores it.
    In the guest's testimony the count is in `deadline`; 0 if the timer is over.
    """

    name = TimerMode.HV_STIMER.value
    title = "Hyper-V timer"

    cpu_features = "-tsc-deadline,hv-vpindex,hv-synic,hv-time,hv-stimer,hv-stimer-direct"

    #: The guest arms the timer at each tick.
    reloads = False

    #: The reference counter stands while the VM is stopped.
    stops_with_vm = True

    first_tick_periods = 0.5

    def armed(self, state: GuestState, lapic: Lapic) -> bool:
        """Return whether the guest armed the timer and has not had the tick."""
        return state.arms == state.ticks + 1

    def masked(self, lapic: Lapic, vector: int) -> bool:
        """Return False: the interrupt has no entry in the local vector table."""
        return False

    def due(
        self, phase: float, resumed: ResumeTiming, held: float = 0.0
    ) -> Mapping[Outcome, tuple[float, float]]:
        """Return the times of `immediate` and `remaining`.

        The count may have been passed by the time at which the VM was stopped and saved.
        """
        return {
            Outcome.IMMEDIATE: (0.0, 0.0),
            Outcome.REMAINING: (min(2 * TOLERANCE, 1 - phase), 1 - phase),
        }

    def control_periods(self, period_ns: int, times: int = 1) -> int:
        """Return six periods, or as many as `CONTROL_WINDOW_NS` takes.

        Ticks after the window would not be heard: the timer is over by then.
        """
        return max(6, -(-CONTROL_WINDOW_NS // period_ns)) * times

    def control_lost(self, outcome: Outcome, cause: Cause | None) -> bool:
        """Return whether the vCPU was silent, and its timer is over."""
        return outcome is Outcome.LOST and cause in INTERRUPT_LOST

    def explain_silence(self, hearing: Hearing) -> tuple[Cause, str]:
        """Return the cause of a silence from the guest's testimonies."""
        first, last = hearing.testimonies[0], hearing.testimonies[-1]
        read = self._read_out(last)
        for testimony in (first, last):
            if hindered := interrupts_in_the_way(
                testimony, hearing.vector, off=hearing.interrupts_off
            ):
                return hindered[0], f"{hindered[1]}: {self._read_out(testimony)}."
        if last.arms == last.ticks:
            return (
                Cause.NOT_REARMED,
                f"the guest took its last tick and did not arm another: {read}.",
            )
        if last.deadline:
            return self._explain_running(hearing, last, read)
        for which, vectors in hearing.waiting.items():
            if vectors:
                named = "+".join(f"{vector:#x}" for vector in sorted(vectors))
                return (
                    Cause.WRONG_VECTOR,
                    f"{hearing.why}; the {self.title} is over, and {named} waits in the {which} "
                    f"(the tick vector is {hearing.vector:#x}): {read}.",
                )
        if not hearing.rescued or last.arms != last.ticks + 1:
            return (
                Cause.UNEXPLAINED,
                f"{hearing.why}; the {self.title} is over, yet a re-arm did not bring ticks back: "
                f"{read}.",
            )
        return (
            Cause.LOST_STIMER,
            f"the {self.title} was over or was not restored, and its interrupt never reached the "
            f"guest: {hearing.why}, and in two testimonies {hearing.periods_apart:.1f} periods "
            "apart the timer is not enabled, with nothing pending or in service and interrupts "
            f"on ({read}); a re-arm brought ticks back.",
        )

    def _explain_running(self, hearing: Hearing, last: Testimony, read: str) -> tuple[Cause, str]:
        """Return the cause for a timer that is still enabled."""
        if last.deadline != hearing.deadline:
            return (
                Cause.NOT_RESTORED,
                f"{hearing.why}; the guest wrote the count {hearing.deadline:#x}, and now it is "
                f"{last.deadline:#x}: {read}.",
            )
        if hearing.rescued and hearing.periods_apart > 1:
            return (
                Cause.NOT_STARTED,
                f"{hearing.why}; the {self.title} is enabled, and does not fire: {read}; a re-arm "
                "brought ticks back.",
            )
        return Cause.UNEXPLAINED, f"{hearing.why}; the {self.title} has yet to fire: {read}."

    def _read_out(self, t: Testimony) -> str:
        return (
            f"count {t.deadline:#x}, IRR {t.irr:#x}, ISR {t.isr:#x}, PPR {t.ppr:#x}, "
            f"IF {int(t.interrupt_flag)}, {t.ticks} ticks, {t.arms} arms"
        )
