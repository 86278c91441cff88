"""The LAPIC timer in one-shot mode: the guest re-arms it in its interrupt handler."""

from orchestrator.guest.timer_mode import TimerMode
from orchestrator.timers.lapic import LapicTimer


class OneShot(LapicTimer):
    """Counts down from TMICT once. A lost interrupt silences the guest for good."""

    name = TimerMode.ONE_SHOT.value
    title = "one-shot"
