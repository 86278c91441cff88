"""A host's clock, the clock of the computer that losttick runs on, and the deadlines.

A host may have a clock of its own (a lab's runs at another pace). Whatever happens on a
host is timed by that host's clock: `now_ns` reads it, `sleep` and `deadline` wait by it.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Protocol

#: Largest difference of the clock's rate that is usual. NTP corrects by up to 0.05 %.
USUAL_RATE = 0.005

#: Uncertainty of two readings of the two clocks. Each pair is the closest of a few.
_APART_NS = 100_000
_READINGS = 5


class Clock(Protocol):
    """The clock of a host."""

    def now_ns(self) -> int:
        """Return the host's monotonic time in nanoseconds."""
        ...

    def suspended_ns(self) -> int:
        """Return for how long the host has been suspended since its boot, in nanoseconds.

        `now_ns` does not count this time.
        """
        ...

    def uncorrected_ns(self) -> int:
        """Return the host's time as `now_ns` would be if nothing corrected its rate.

        It may begin anywhere: only differences mean something. A clock that nothing corrects
        returns `now_ns`.
        """
        ...

    async def sleep(self, ns: int) -> None:
        """Wait until about `ns` nanoseconds of the host's time have passed."""
        ...

    def deadline(self, ns: int) -> contextlib.AbstractAsyncContextManager[object]:
        """Return a context that may last about `ns` nanoseconds of the host's time.

        Like `asyncio.timeout`, the context cancels its body when the time is up and then
        raises TimeoutError.
        """
        ...


class LocalClock:
    """CLOCK_MONOTONIC of the computer that losttick runs on."""

    def now_ns(self) -> int:
        """Return monotonic nanoseconds."""
        return time.monotonic_ns()

    def suspended_ns(self) -> int:
        """Return by how much CLOCK_BOOTTIME, which counts suspensions, is ahead."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()

    def uncorrected_ns(self) -> int:
        """Return CLOCK_MONOTONIC_RAW, whose rate no time daemon changes."""
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)

    async def sleep(self, ns: int) -> None:
        """Wait for `ns` nanoseconds."""
        await asyncio.sleep(ns / 1e9)

    def deadline(self, ns: int) -> asyncio.Timeout:
        """Return a context that may last `ns` nanoseconds."""
        return asyncio.timeout(ns / 1e9)


@dataclass(frozen=True, slots=True)
class ClockMark:
    """A moment by the host's clock, and by the same clock without correction."""

    now_ns: int
    uncorrected_ns: int

    @classmethod
    def read(cls, clock: Clock) -> "ClockMark":
        """Read both clocks: the reading between two others that are closest to each other."""
        best, mark = 0, cls(0, 0)
        for number in range(_READINGS):
            before, uncorrected, after = clock.now_ns(), clock.uncorrected_ns(), clock.now_ns()
            if not number or after - before < best:
                best, mark = after - before, cls((before + after) // 2, uncorrected)
        return mark

    def slewed(self, clock: Clock) -> float:
        """Return by which fraction the clock has run too fast since; 0 if that is usual."""
        now = ClockMark.read(clock)
        passed = now.uncorrected_ns - self.uncorrected_ns
        ahead = now.now_ns - self.now_ns - passed
        if passed <= 0 or abs(ahead) <= USUAL_RATE * passed + _APART_NS:
            return 0.0
        return ahead / passed


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each kind of step may take before it counts as failed.

    The defaults are generous: a loaded host is slow, not broken. Raise `state_ns` for a slow
    disk or a guest with much memory, and the others for a very slow host.
    """

    command_ns: int = 10_000_000_000
    """A monitor command that QEMU answers at once; also QEMU's greeting."""
    state_ns: int = 30_000_000_000
    """A save, a load, a migration, or the removal of a snapshot."""
    ready_ns: int = 10_000_000_000
    """From QEMU's greeting to the guest's first line."""
    first_ticks_ns: int = 3_000_000_000
    """From the guest's first line to each of its first ticks, two periods not counted."""
    lab_boot_ns: int = 180_000_000_000
    """From the start of a lab to its agent's first word, by losttick's own clock, without the
    time in which the emulator waited for a CPU."""
    lab_silence_ns: int = 90_000_000_000
    """How long a lab may say nothing, by the same clock: a boot says nothing for about 10 s, and
    a series of losses for 20 s."""
    lab_answer_ns: int = 60_000_000_000
    """An answer of a lab's agent, in the lab's time."""
    direct_news_ns: int = 60_000_000_000
    """From one news of the direct test's program to the next, sixty periods of its timer not
    counted. It counts on several times a second, however many timers are lost."""
    lab_end_ns: int = 30_000_000_000
    """The end of a killed QEMU in a lab, in the lab's time."""


#: The deadlines where nothing else was asked for.
DEFAULT_DEADLINES = Deadlines()
