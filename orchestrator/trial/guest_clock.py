"""Maps a vCPU's TSC to the host's time, and tells a TSC that jumped from one that went on.

A line arrives some time after its tick, so that its arrival says only that the tick came no
later. The earliest line of a few, by the TSC, was the least delayed: it ties the TSC to the
host's time. A stalled host delays lines and never brings them forward.
"""

import collections

from orchestrator.findings.arrival import Arrival
from orchestrator.guest.lines import Tick

#: Number of recent lines that tie the TSC to the host's time. It is small because the two
#: clocks drift apart by up to 0.05 % while the host's time is being corrected.
WINDOW = 64

#: How far a TSC may be off in nanoseconds, at least, before it has jumped.
TOLERANCE_NS = 50_000_000

#: How far the two clocks may drift apart, as a fraction of the time since a line.
_DRIFT = 0.001

_HALF = 1 << 63


def cycles_between(before: int, after: int) -> int:
    """Return the TSC cycles from one value to another; negative if the TSC went back."""
    return (after - before + _HALF) % (2 * _HALF) - _HALF


class GuestClock:
    """The TSC of one vCPU in the host's time, as long as the TSC goes on by itself."""

    def __init__(self) -> None:
        self._recent: collections.deque[Arrival] = collections.deque(maxlen=WINDOW)

    def restart(self) -> None:
        """Forget what was heard: the TSC has a new value, or belongs to another QEMU."""
        self._recent.clear()

    @property
    def tied(self) -> bool:
        """Whether a line ties the TSC to the host's time."""
        return bool(self._recent)

    def hear(self, tick: Tick, at_ns: int) -> None:
        """Learn from a tick."""
        self._recent.append(Arrival(tick, at_ns))

    def off_ns(self, heard: Arrival, since_ns: int, cycles_per_ns: float) -> float:
        """Return how far a tick's TSC lies outside the time in which the tick can have come.

        The tick came after `since_ns` and before its line arrived. By the lines before, its
        TSC gives the moment. Positive if the TSC is ahead of that time, negative if it is
        behind, 0 if it is in that time or if nothing ties it.
        """
        if not self._recent:
            return 0.0
        came_ns = min(
            each.at_ns + cycles_between(each.tick.tsc, heard.tick.tsc) / cycles_per_ns
            for each in self._recent
        )
        slack_ns = TOLERANCE_NS + _DRIFT * (heard.at_ns - self._recent[0].at_ns)
        ahead_ns, behind_ns = came_ns - heard.at_ns, since_ns - came_ns
        if ahead_ns > slack_ns:
            return ahead_ns
        return -behind_ns if behind_ns > slack_ns else 0.0
