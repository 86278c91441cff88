"""The common part of timers whose guests are saved only while the timer is plainly armed."""

from typing import Self

from orchestrator.findings.cause import Cause
from orchestrator.guest.saved_state import SavedState
from orchestrator.timers.timer import Sleep


class ArmedTimer:
    """A timer that knows no other state of a save. A base class for users' own timers."""

    states = (SavedState.ARMED,)
    conditions: frozenset[str] = frozenset()
    may_wait = False
    saved_after = 0.0
    catches_up = False
    stops_with_vm = False
    fires_by_tsc = False
    always_qemus = False
    behind_pic = False
    reloads = False

    @property
    def goes_on(self) -> bool:
        """Whether the timer runs on by itself."""
        return self.reloads

    def under_a_kernel(self, tick: float) -> Self:
        """Return this timer: no kernel ticks by it."""
        return self

    def in_state(self, state: SavedState) -> Self:
        """Return this timer."""
        return self

    def gap_periods(self, held: float) -> float:
        """Return 1: a period lies between two ticks."""
        return 1.0

    def explain_sleep(self, sleep: Sleep) -> tuple[Cause, str]:
        """Return that nothing is known: no testimony tells of this timer."""
        return Cause.UNEXPLAINED, f"{sleep.why}, and an idle guest cannot testify."

    def nearest_period_ns(self, wanted_ns: int) -> int:
        """Return the wanted period: the timer can have any."""
        return wanted_ns
