"""The trials that a direct test is asked for, and the arguments that ask its program."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.guest.lapic_mode import DEFAULT_MODE, LapicMode

#: Trials of the control. Each takes 20 ms of silence.
CONTROL_TRIALS = 5

#: The shortest period of a periodic timer.
LONG_PERIOD_NS = 4_000_000

#: A timer with at least this much left is slow to test.
SLOW_NS = 1_000_000

#: Most trials of a timer that is slow to test.
SLOW_TRIALS = 1000


@dataclass(frozen=True, slots=True)
class DirectTrials:
    """The trials of a direct test, in the time of the host that it runs on."""

    trials: int
    """Number of trials for each current count; at most `SLOW_TRIALS` where a trial takes 1 ms
    or more."""
    period_ns: int
    """The timer's initial count. The program raises it to twice the current count."""
    tmccts_ns: tuple[int, ...]
    """Current counts to restore. In TSC-deadline mode, the time from the restore to the
    deadline."""
    mode: LapicMode = DEFAULT_MODE
    """The mode of the LAPIC's timer."""

    @property
    def total(self) -> int:
        """Number of trials, not counting the control's."""
        return sum(map(self._trials, self.tmccts_ns))

    @property
    def longest_period_ns(self) -> int:
        """The longest period of a series: the program raises one that is too short."""
        return max(self.period_ns, LONG_PERIOD_NS, *(2 * tmcct for tmcct in self.tmccts_ns))

    @property
    def arguments(self) -> list[str]:
        """The program's arguments; the control comes last."""
        series = [
            f"{tmcct}x{count}" if (count := self._trials(tmcct)) != self.trials else str(tmcct)
            for tmcct in self.tmccts_ns
        ]
        head = [self.mode, str(self.trials), str(self.period_ns)]
        return [*head, *series, "--", "control", str(CONTROL_TRIALS)]

    def _trials(self, tmcct_ns: int) -> int:
        whole_period = self.mode.starts_anew and tmcct_ns == 0
        slow = whole_period or tmcct_ns >= SLOW_NS
        return min(self.trials, SLOW_TRIALS) if slow else self.trials


def without_repeats(tmccts_ns: Sequence[int]) -> tuple[int, ...]:
    """Return current counts in their order, each once."""
    return tuple(dict.fromkeys(tmccts_ns))
