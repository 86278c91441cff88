"""Maps a clock of a guest to the host's time, and tells a clock that jumped from one that went on.

A line arrives some time after its tick, so that its arrival says only that the tick came no
later. The earliest line of a few, by the guest's clock, was the least delayed: it ties the clock
to the host's time. A stalled host delays lines and never brings them forward.
"""

import collections
import math
from dataclasses import dataclass

#: Number of recent lines that tie the clock to the host's time. It is small because the two
#: clocks drift apart by up to 0.05 % while the host's time is being corrected.
WINDOW = 64

#: How far a clock may be off in nanoseconds, at least, before it has jumped.
TOLERANCE_NS = 50_000_000

#: How far the two clocks may drift apart, as a fraction of the time since a line.
_DRIFT = 0.001

_HALF = 1 << 63


def cycles_between(before: int, after: int) -> int:
    """Return the TSC cycles from one value to another; negative if the TSC went back."""
    return (after - before + _HALF) % (2 * _HALF) - _HALF


@dataclass(frozen=True, slots=True)
class Reading:
    """A clock of a guest at a tick, and when the tick's line arrived."""

    value: int
    at_ns: int
    """By the host's clock."""


class GuestClock:
    """A clock of one vCPU in the host's time, as long as it goes on by itself."""

    def __init__(self) -> None:
        self._recent: collections.deque[Reading] = collections.deque(maxlen=WINDOW)
        self._anchor: Reading | None = None

    def restart(self, anchor: Reading | None = None) -> None:
        """Forget what was heard: the clock has a new value, or belongs to another QEMU.

        Args:
            anchor: a value of the clock, and a moment before which the clock did not have it.
                All lines of a few may arrive late, and then only the anchor bounds the time
                in which the clock advanced.
        """
        self._recent.clear()
        self._anchor = anchor

    @property
    def tied(self) -> bool:
        """Whether a line ties the clock to the host's time."""
        return bool(self._recent)

    def hear(self, reading: Reading) -> None:
        """Learn from a tick."""
        self._recent.append(reading)
        if len(self._recent) == WINDOW:
            self._anchor = None  # one of so many came at once

    def came_ns(self, value: int, per_ns: float) -> float | None:
        """Return the host's time at a value of the clock; None if nothing ties it.

        Args:
            value: the value.
            per_ns: how far the clock goes on in a nanosecond.
        """
        if not self._recent:
            return None
        return min(each.at_ns + cycles_between(each.value, value) / per_ns for each in self._recent)

    def off_ns(self, reading: Reading, since_ns: int, per_ns: float) -> float:
        """Return how far a tick's reading lies outside the time in which the tick can have come.

        The tick came after `since_ns` and before its line arrived. By the lines before, its
        reading gives the moment. Positive if the clock is ahead of that time, negative if it is
        behind, 0 if it is in that time or if nothing ties it.
        """
        came_ns = self.came_ns(reading.value, per_ns)
        if came_ns is None:
            return 0.0
        slack_ns = TOLERANCE_NS + _DRIFT * (reading.at_ns - self._recent[0].at_ns)
        ahead_ns, behind_ns = came_ns - reading.at_ns, since_ns - came_ns
        if ahead_ns > slack_ns and self._past_anchor_ns(reading, per_ns) > slack_ns:
            return ahead_ns
        return -behind_ns if behind_ns > slack_ns else 0.0

    def _past_anchor_ns(self, reading: Reading, per_ns: float) -> float:
        """Return how far a reading is past all that the time since the anchor allows."""
        anchor = self._anchor
        if anchor is None:
            return math.inf
        advanced_ns = cycles_between(anchor.value, reading.value) / per_ns
        return advanced_ns - (reading.at_ns - anchor.at_ns)
