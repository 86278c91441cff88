"""The clock of the fake host, which runs faster than the event loop's."""

import asyncio
from collections.abc import Callable

#: Nanoseconds of the fake host's time in one nanosecond of the event loop's time. Code that
#: mistakes the one time for the other is wrong by this factor, and its test fails.
SPEED = 10.0

#: Time of the fake host's clock when the event loop's clock shows 0.
START_NS = 7_000_000_000_000


class FakeClock:
    """A clock that follows the event loop's, be that real or virtual time."""

    suspended = 0
    """For how long the host has been suspended, in nanoseconds."""
    corrected = 0
    """By how much a time daemon has brought the clock forward, in nanoseconds."""

    def suspended_ns(self) -> int:
        """Return `suspended`."""
        return self.suspended

    def uncorrected_ns(self) -> int:
        """Return the time without what `corrected` says."""
        return self.now_ns() - self.corrected

    def now_ns(self) -> int:
        """Return the fake host's time in nanoseconds."""
        return START_NS + round(asyncio.get_running_loop().time() * 1e9 * SPEED)

    async def sleep(self, ns: int) -> None:
        """Wait for `ns` nanoseconds of the fake host's time."""
        await asyncio.sleep(ns / 1e9 / SPEED)

    def deadline(self, ns: int) -> asyncio.Timeout:
        """Return a context that may last `ns` nanoseconds of the fake host's time."""
        return asyncio.timeout(ns / 1e9 / SPEED)

    def call_later(self, ns: int, action: Callable[[], object]) -> asyncio.TimerHandle:
        """Call `action` after `ns` nanoseconds of the fake host's time."""
        return asyncio.get_running_loop().call_later(ns / 1e9 / SPEED, action)
