"""A lab's clock, as losttick follows it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from orchestrator.clock import DEFAULT_DEADLINES


class LabClock:
    """The lab's clock: the agent's last word, extrapolated for a moment.

    The agent keeps the emulated machine from idling, so that the lab's clock runs evenly: about
    two of its seconds in one second of this host.
    """

    #: How far the time is extrapolated past the agent's last word.
    BEYOND_NS = 100_000_000
    #: Length of the spans, in seconds of this host, over which the speed is measured.
    SPAN_S = 0.05
    #: Weight of the newest measurement.
    WEIGHT = 0.5

    def __init__(self, patience_s: float = DEFAULT_DEADLINES.lab_silence_ns / 1e9) -> None:
        """Begin.

        Args:
            patience_s: seconds of this host, past the likely end of a deadline, for which the
                agent may say nothing before the deadline is over.
        """
        self._patience_s = patience_s
        self.speed = 2.0
        """Nanoseconds of the lab in one nanosecond of this host."""
        self._told = (0, time.monotonic())
        self._measured_from = self._told
        self._deadlines: dict[asyncio.Timeout, int] = {}
        self._sleeps: dict[asyncio.Timeout, int] = {}

    def tell(self, now_ns: int) -> None:
        """Take note of the lab's time, which never goes back.

        A lab whose clock stands still gets no more time for that, whatever its agent says.
        """
        goes_on = now_ns > self.told_ns
        now_ns = max(now_ns, self.told_ns)
        wall = time.monotonic()
        self._told = (now_ns, wall)
        before_ns, before = self._measured_from
        if before_ns == 0:
            self._measured_from = self._told
        elif wall - before >= self.SPAN_S:
            ratio = (now_ns - before_ns) / 1e9 / (wall - before)
            self.speed += self.WEIGHT * (min(max(ratio, 0.1), 10) - self.speed)
            self._measured_from = self._told
        if goes_on:
            self._correct_deadlines()

    @property
    def told_ns(self) -> int:
        """The lab's monotonic nanoseconds as the agent told them last."""
        return self._told[0]

    def now_ns(self) -> int:
        """Return the lab's monotonic nanoseconds."""
        told_ns, wall = self._told
        return told_ns + min(int((time.monotonic() - wall) * 1e9 * self.speed), self.BEYOND_NS)

    def suspended_ns(self) -> int:
        """Return 0: with this host, a lab stands still as a whole."""
        return 0

    def uncorrected_ns(self) -> int:
        """Return the lab's time: no time daemon runs in a lab."""
        return self.now_ns()

    async def sleep(self, ns: int) -> None:
        """Wait until about `ns` nanoseconds of the lab's time have passed."""
        due_ns = self.now_ns() + ns
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ns / 1e9 / self.speed) as timeout:
                self._sleeps[timeout] = due_ns
                try:
                    await asyncio.get_running_loop().create_future()
                finally:
                    del self._sleeps[timeout]

    @contextlib.asynccontextmanager
    async def deadline(self, ns: int) -> AsyncIterator[asyncio.Timeout]:
        """Give a context that may last about `ns` nanoseconds of the lab's time.

        The time is up when the agent says so: on a busy host, nobody knows how much of it has
        passed before. An agent that says nothing at all ends the context, too.
        """
        due_ns = self.now_ns() + ns
        async with asyncio.timeout(ns / 1e9 / self.speed + self._patience_s) as timeout:
            self._deadlines[timeout] = due_ns
            try:
                yield timeout
            finally:
                del self._deadlines[timeout]

    def stop(self) -> None:
        """Wait for no word of the agent any more: it has none."""
        self._patience_s = 0.0
        self._correct_deadlines()

    def _correct_deadlines(self) -> None:
        """Correct when time will be up: the lab's speed changes with what the lab does."""
        now_ns, now_s = self.now_ns(), asyncio.get_running_loop().time()
        for waiting, patience_s in ((self._sleeps, 0.0), (self._deadlines, self._patience_s)):
            for timeout, due_ns in waiting.items():
                if timeout.expired():
                    continue
                left_s = (due_ns - now_ns) / 1e9 / self.speed
                timeout.reschedule(now_s + left_s + (patience_s if left_s > 0 else 0))
