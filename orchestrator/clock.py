"""A host's clock, the clock of the computer that losttick runs on, and the deadlines.

A host may have a clock of its own (a lab's runs at another pace). Whatever happens on a
host is timed by that host's clock: `now_ns` reads it, `sleep` and `deadline` wait by it.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Protocol


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

    async def sleep(self, ns: int) -> None:
        """Wait for `ns` nanoseconds."""
        await asyncio.sleep(ns / 1e9)

    def deadline(self, ns: int) -> asyncio.Timeout:
        """Return a context that may last `ns` nanoseconds."""
        return asyncio.timeout(ns / 1e9)


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
