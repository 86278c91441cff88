"""The LAPIC timer in periodic mode: the LAPIC reloads it at each tick."""

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.timers.lapic import LapicTimer

#: Shortest window of the built-in control, shorter by more than a period than any silence.
CONTROL_WINDOW_NS = 24_000_000


class Periodic(LapicTimer):
    """Counts down from TMICT again and again. A lost interrupt is one missing period."""

    name = TimerMode.PERIODIC.value
    title = "periodic"

    #: It never stands expired: its testimony cannot show a lost interrupt.
    expires = False

    #: The LAPIC starts each period by itself.
    reloads = True

    #: A load starts a whole period.
    first_tick_periods = 1.0

    def control_periods(self, period_ns: int, times: int = 1) -> int:
        """Return three periods, or as many as `CONTROL_WINDOW_NS` takes.

        Its ticks go on after the window: the first of them must come before the guest counts as
        silent, which takes five periods and at least 40 ms. So no window is longer.
        """
        return max(3, -(-CONTROL_WINDOW_NS // period_ns))

    def control_lost(self, outcome: Outcome, cause: Cause | None) -> bool:
        """Return whether periods are missing: swallowed ticks do not silence this timer for good.

        After a long window the guest may count as silent before its ticks go on.
        """
        return outcome in (Outcome.MISSED, Outcome.RECOVERED)
