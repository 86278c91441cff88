"""Pauses a campaign while the host is too busy for measurements."""

import collections

from orchestrator.findings.outcome import Outcome
from orchestrator.host.protocol import Host

#: Number of recent attempts that count, and how many of them must have ended unknown.
REMEMBERED, TOO_MANY = 8, 3


#: A pause ends when tasks waited for a CPU for less than this share of the last 10 s …
FREE_PERCENT = 40.0


#: … or after this time, by the host's clock. A host that does not say how busy it is gets a
#: tenth of this time.
LONGEST_NS = 120_000_000_000


_LOOK_NS = 5_000_000_000


class Busyness:
    """Watches the outcomes of attempts for signs that the host stalls its guests."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._unknown: collections.deque[bool] = collections.deque(maxlen=REMEMBERED)

    def note(self, outcome: Outcome) -> None:
        """Note the outcome of an attempt."""
        self._unknown.append(outcome is Outcome.UNKNOWN)

    @property
    def too_busy(self) -> bool:
        """True if too many of the last attempts ended unknown to be chance."""
        return sum(self._unknown) >= TOO_MANY

    async def rest(self) -> int:
        """Wait until the host is less busy, or for the longest pause; return the pause in ns."""
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
