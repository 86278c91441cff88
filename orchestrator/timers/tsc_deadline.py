"""The LAPIC timer in TSC-deadline mode: it fires when the TSC reaches a deadline."""

from collections.abc import Mapping

from orchestrator.findings.cause import INTERRUPT_LOST, Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.lapic import Lapic
from orchestrator.guest.lines import Testimony
from orchestrator.guest.state import GuestState
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.timers.first_tick import TOLERANCE, ResumeTiming
from orchestrator.timers.lapic import LapicTimer
from orchestrator.timers.timer import Hearing, Sleep


class TscDeadline(LapicTimer):
    """Armed by a write to IA32_TSC_DEADLINE, which reads 0 once the timer has fired."""

    name = TimerMode.TSC_DEADLINE.value
    title = "TSC-deadline"

    cpu_features = "+tsc-deadline"

    fires_by_tsc = True

    def armed(self, state: GuestState, lapic: Lapic) -> bool:
        """Return whether the guest armed the timer; this mode leaves TMICT at 0."""
        return state.arms == state.ticks + 1

    def _plainly_due(
        self, phase: float, resumed: ResumeTiming
    ) -> Mapping[Outcome, tuple[float, float]]:
        """Return the times of the LAPIC timer's classes.

        A load restores the deadline, so that it starts no whole period. The TSC may go on while
        the guest is stopped, and then less than the rest of the period is left. Where the TSC
        tells how much was left at the resume, the tick is due then.
        """
        if resumed.until_deadline is not None:
            low, high = resumed.until_deadline
            at_once = {Outcome.IMMEDIATE: (0.0, 0.0)}
            return at_once | ({Outcome.REMAINING: (low, high)} if high else {})
        due = dict(super()._plainly_due(phase, resumed))
        if not resumed.lapic_stood:
            del due[Outcome.FULL_PERIOD]
            due[Outcome.REMAINING] = (min(2 * TOLERANCE, 1 - phase), 1 - phase)
        return due

    def control_lost(self, outcome: Outcome, cause: Cause | None) -> bool:
        """Return whether the vCPU was silent, and its deadline is over or gone."""
        return outcome is Outcome.LOST and cause in INTERRUPT_LOST

    def _restored(self, testimony: Testimony, hearing: Hearing) -> bool:
        # This mode leaves TMICT at 0. A deadline that reads 0 may have been restored and passed.
        return True

    def _over(self, hearing: Hearing) -> tuple[Cause, str]:
        wrote = "the TSC deadline for which the guest's kernel waits"
        if hearing.deadline:
            wrote = f"the TSC deadline {hearing.deadline:#x} that the guest wrote"
        if hearing.fired:
            return (
                Cause.LOST_DEADLINE,
                f"{wrote} passed, and its interrupt never reached the guest",
            )
        return (
            Cause.DEADLINE_GONE,
            f"{wrote} is gone: the load did not restore IA32_TSC_DEADLINE, or the deadline "
            "passed and its interrupt never reached the guest",
        )

    def _explain_running(self, last: Testimony, hearing: Hearing, read: str) -> tuple[Cause, str]:
        if last.deadline != hearing.deadline:
            return (
                Cause.NOT_RESTORED,
                f"{hearing.why}; the guest wrote the TSC deadline {hearing.deadline:#x}, and now "
                f"IA32_TSC_DEADLINE is {last.deadline:#x}: {read}.",
            )
        return super()._explain_running(last, hearing, read)

    def _running(self, testimony: Testimony) -> bool:
        if testimony.kernel:  # its program can't read the deadline
            return testimony.kernel.overdue_ns < 0
        return testimony.deadline != 0

    def _registers(self, testimony: Testimony) -> str:
        return "deadline unread" if testimony.kernel else f"deadline {testimony.deadline:#x}"

    def explain_sleep(self, sleep: Sleep) -> tuple[Cause, str]:
        """Return that nothing is known: `info lapic` does not show the deadline."""
        return Cause.UNEXPLAINED, f"{sleep.why}, and an idle guest cannot testify."
