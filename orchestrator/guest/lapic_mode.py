"""The modes of the LAPIC's timer, as the direct test restores them."""

import enum

from orchestrator.guest.timer_mode import TimerMode


class LapicMode(enum.StrEnum):
    """A mode of the LAPIC's timer."""

    ONE_SHOT = TimerMode.ONE_SHOT.value
    PERIODIC = TimerMode.PERIODIC.value
    TSC_DEADLINE = TimerMode.TSC_DEADLINE.value

    @property
    def starts_anew(self) -> bool:
        """True if KVM takes a current count of 0 for a whole period."""
        return self is LapicMode.PERIODIC


DEFAULT_MODE = LapicMode.ONE_SHOT
