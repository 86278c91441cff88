"""The LAPIC timer in periodic mode: the LAPIC reloads it at each tick."""

from collections.abc import Mapping

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.timers.first_tick import ResumeTiming
from orchestrator.timers.lapic import CONTROL_WINDOW_NS, LapicTimer
from orchestrator.timers.timer import Hearing


class Periodic(LapicTimer):
    """Counts down from TMICT again and again. A lost interrupt is one missing period."""

    name = TimerMode.PERIODIC.value
    title = "periodic"

    #: It never stands expired: its testimony cannot show a lost interrupt.
    expires = False
    over = "does not count"

    #: The LAPIC starts each period by itself.
    reloads = True
    goes_on = True

    #: A load starts a whole period.
    first_tick_periods = 1.0

    def _plainly_due(
        self, phase: float, resumed: ResumeTiming
    ) -> Mapping[Outcome, tuple[float, float]]:
        """Return the classes without `immediate`, for a LAPIC that runs while its VM stands.

        A kernel's LAPIC starts a whole period where it finds no current count
        (`set_target_expiration` in arch/x86/kvm/lapic.c). A tick that is there at the resume is
        one whose period ended before `cont`, or no tick of this timer.
        """
        due = dict(super()._plainly_due(phase, resumed))
        if not resumed.lapic_stood:
            del due[Outcome.IMMEDIATE]
        return due

    def control_periods(self, period_ns: int, times: int = 1) -> int:
        """Return three periods, or as many as `CONTROL_WINDOW_NS` takes."""
        return max(3, -(-CONTROL_WINDOW_NS // period_ns)) * times

    def _over(self, hearing: Hearing) -> tuple[Cause, str]:
        """Return that the timer stands: one that counts reads 0 for a moment only."""
        return (
            Cause.NOT_STARTED,
            "the periodic LAPIC timer was never started, or it has stopped",
        )

    def control_lost(self, outcome: Outcome, cause: Cause | None) -> bool:
        """Return whether periods are missing: swallowed ticks do not silence this timer for good.

        In a long window the guest counts as silent, and even as lost, before its ticks go on. A
        guest whose ticks come back while it is looked at may seem to have had one pending.
        """
        came_back = outcome is Outcome.LOST and cause in (Cause.CAME_BACK, Cause.PENDING)
        return outcome in (Outcome.MISSED, Outcome.RECOVERED) or came_back
