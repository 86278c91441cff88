"""The LAPIC timer in TSC-deadline mode: it fires when the TSC reaches a deadline."""

from orchestrator.guest.lapic import Lapic
from orchestrator.guest.lines import Testimony
from orchestrator.guest.state import GuestState
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.timers.lapic import LapicTimer
from orchestrator.timers.timer import Hearing


class TscDeadline(LapicTimer):
    """Armed by a write to IA32_TSC_DEADLINE, which reads 0 once the timer has fired."""

    name = TimerMode.TSC_DEADLINE.value
    title = "TSC-deadline"

    cpu_features = "+tsc-deadline"

    def armed(self, state: GuestState, lapic: Lapic) -> bool:
        """Return whether the guest armed the timer; this mode leaves TMICT at 0."""
        return state.arms == state.ticks + 1

    def _restored(self, testimony: Testimony, hearing: Hearing) -> bool:
        # The save holds no deadline to compare with.
        return True

    def _running(self, testimony: Testimony) -> bool:
        return testimony.deadline != 0

    def _registers(self, testimony: Testimony) -> str:
        return f"deadline {testimony.deadline:#x}"
