"""The states of the LAPIC in which a guest can be saved."""

import enum


class SavedState(enum.StrEnum):
    """The state of the LAPIC between two ticks, while a save may be taken."""

    ARMED = "armed"
    """The timer runs; nothing is pending, in service, masked or held back."""
    PENDING = "pending"
    """The timer has expired while interrupts are off: the tick waits in the IRR for `sti`."""
    IN_SERVICE = "in-service"
    """The last tick waits for its EOI: its bit is set in the ISR. The timer runs."""
    MASKED = "masked"
    """LVTT is masked. No tick may come until the guest unmasks LVTT and arms the timer."""
    TPR = "tpr"
    """TPR is above the tick's priority: a tick that falls due waits until TPR is lowered."""

    @property
    def timer_runs(self) -> bool:
        """Whether the timer may run in a save of this state, so that a load must restore it."""
        return self not in (SavedState.PENDING, SavedState.MASKED)
