"""How late a stop takes effect, learnt from where earlier stops landed."""

import collections
import statistics

#: Number of recent stops that are remembered.
WINDOW = 16


class StopDelay:
    """The time from the moment at which a stop is due until the vCPUs stand still.

    On a busy host some stops land far from where they were aimed. The median of the recent
    delays does not follow such a stop, as a correction by each stop's own error would.
    """

    def __init__(self) -> None:
        self._delays_ns: collections.deque[float] = collections.deque(maxlen=WINDOW)

    @property
    def ns(self) -> float:
        """The delay that is to be expected, in nanoseconds; 0 before any stop."""
        return statistics.median(self._delays_ns) if self._delays_ns else 0.0

    def observe(self, off_ns: float) -> None:
        """Learn from a stop that was aimed with the expected delay, and landed `off_ns` later."""
        self._delays_ns.append(self.ns + off_ns)
