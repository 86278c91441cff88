"""The LAPIC timer in periodic mode: the LAPIC reloads it at each tick."""

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.timers.lapic import LapicTimer


class Periodic(LapicTimer):
    """Counts down from TMICT again and again. A lost interrupt is one missing period."""

    name = TimerMode.PERIODIC.value
    title = "periodic"

    #: It never stands expired: its testimony cannot show a lost interrupt.
    expires = False

    #: A load starts a whole period.
    first_tick_periods = 1.0

    #: Its ticks go on after the window, which must end before the guest counts as silent.
    control_periods = 3

    def control_lost(self, outcome: Outcome, cause: Cause | None) -> bool:
        """Return whether periods are missing: swallowed ticks do not silence this timer."""
        return outcome is Outcome.MISSED
