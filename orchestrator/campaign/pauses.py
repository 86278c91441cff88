"""Pauses while a host is too busy to measure anything on it."""

import collections

from orchestrator.findings.outcome import Outcome
from orchestrator.host.protocol import Host

#: Attempts that are remembered, and how many of them must have ended unknown.
REMEMBERED, TOO_MANY = 8, 3


#: A pause ends when tasks waited for a CPU for less than this share of the last 10 s …
FREE_PERCENT = 40.0


#: … and after so long in any case, by the host's clock: a tenth of it where the host does
#: not say how busy it is.
LONGEST_NS = 120_000_000_000


_LOOK_NS = 5_000_000_000


class Busyness:
    """Notices that a host stalls its guests, attempt by attempt."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._unknown: collections.deque[bool] = collections.deque(maxlen=REMEMBERED)

    def note(self, outcome: Outcome) -> None:
        """Take note of an attempt."""
        self._unknown.append(outcome is Outcome.UNKNOWN)

    @property
    def too_busy(self) -> bool:
        """Whether so many of the last attempts ended unknown that it is no accident."""
        return sum(self._unknown) >= TOO_MANY

    async def rest(self) -> int:
        """Wait until the host is free, or long enough; return for how long, in its nanoseconds."""
        clock = self._host.clock
        began_ns = clock.now_ns()
        while True:
            await clock.sleep(_LOOK_NS)
            rested_ns = clock.now_ns() - began_ns
            percent = await self._host.pressure_percent()
            longest_ns = LONGEST_NS // 10 if percent is None else LONGEST_NS
            if rested_ns >= longest_ns or (percent is not None and percent < FREE_PERCENT):
                self._unknown.clear()
                return rested_ns
