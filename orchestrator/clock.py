"""A host's clock, and this machine's."""

import time
from typing import Protocol


class LocalClock:
    """CLOCK_MONOTONIC."""

    def now_ns(self) -> int:
        """Return monotonic nanoseconds."""
        return time.monotonic_ns()

    def wall_s(self, ns: int) -> float:
        """Return the same span in seconds."""
        return ns / 1e9


class Clock(Protocol):
    """The host's own clock."""

    def now_ns(self) -> int:
        """Return the host's monotonic time in nanoseconds."""
        ...

    def wall_s(self, ns: int) -> float:
        """Return about how long, in seconds of ours, the host takes for `ns` of its own.

        For polling intervals and deadlines; what is measured is measured by `now_ns`.
        """
        ...
