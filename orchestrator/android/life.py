"""Signs that the guest lives: Android's heartbeat, and, where that is silent, its uptime.

Android sends the heartbeat, and the emulator counts it: a load does not set the count back. The
console itself answers for the emulator, not for the guest, and is no sign.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from orchestrator.android.adb import Adb
from orchestrator.android.console import Console
from orchestrator.android.emulator import LOOK_S
from orchestrator.android.errors import ConsoleError, NotBootedError, RefusedError

#: Beats after a load that show that the guest runs on. The first may have been on its way, or
#: come from one of several CPUs that still runs.
BEATS = 2


class Heart(Protocol):
    """What can be asked about the guest; `Console` is one."""

    async def heartbeat(self) -> int:
        """Return how often the heartbeat came."""
        ...

    async def stopped(self) -> bool:
        """Return whether the emulator has stopped its guest."""
        ...


@dataclass(frozen=True, slots=True)
class Watched:
    """What was seen of the guest in some time."""

    beats: int
    """Heartbeats that came."""
    seconds: float
    """How long it was watched."""
    uptime_rose: bool | None = None
    """Whether Android, asked by adb, said an uptime that rose; None if it was not asked."""

    @property
    def alive(self) -> bool:
        """True if the guest was seen to run."""
        return self.beats >= BEATS or bool(self.uptime_rose)


async def watch(heart: Heart, within_s: float, adb: Adb | None = None) -> Watched:
    """Watch the guest until it is seen to run, or the time is over.

    A guest whose heartbeat is silent is asked for its uptime by adb: a dead heartbeat service is
    no frozen guest.

    Args:
        heart: what counts the heartbeat.
        within_s: how long to wait for the heartbeat.
        adb: asks the guest for its uptime; None if there is no adb.

    Raises:
        ConsoleError: the console does not say.
    """
    began, first = time.monotonic(), await heart.heartbeat()
    beats = 0
    while beats < BEATS and time.monotonic() - began < within_s:
        await asyncio.sleep(LOOK_S)
        beats = await heart.heartbeat() - first
    seen = Watched(beats, time.monotonic() - began)
    if seen.alive or adb is None:
        return seen
    return Watched(beats, time.monotonic() - began, await _uptime_rises(adb))


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again, because neither adb nor the console announces anything."""
    while True:
        if await condition():
            return
        await asyncio.sleep(LOOK_S)


async def _uptime_rises(adb: Adb) -> bool:
    before = await adb.uptime_s()
    if before is None:
        return False
    await asyncio.sleep(1)
    after = await adb.uptime_s()
    return after is not None and after > before


async def boot(console: Console, adb: Adb, within_s: float) -> None:
    """Wait until Android has booted and its heartbeat rises.

    Raises:
        NotBootedError: it did not in time.
        ConsoleError: the console does not answer.
    """
    lacking = "adb did not report sys.boot_completed=1"
    try:
        async with asyncio.timeout(within_s):
            await _until(adb.booted)
            lacking = "the heartbeat did not rise"
            first = await console.heartbeat()

            async def risen() -> bool:
                return await console.heartbeat() > first

            await _until(risen)
    except TimeoutError:
        raise NotBootedError(within_s, lacking) from None
    except RefusedError as error:
        raise ConsoleError(
            "avd heartbeat", f"this emulator has no heartbeat: {error.reason}"
        ) from error
