"""Saves and loads a snapshot of an emulator, and sees whether its guest goes on."""

from collections.abc import Awaitable, Callable

from orchestrator.android.adb import Adb
from orchestrator.android.console import Console
from orchestrator.android.emulator import Emulator
from orchestrator.android.errors import CannotSaveError, RefusedError
from orchestrator.android.findings import Freeze, Guest, Load
from orchestrator.android.life import Heart, watch

#: Judges a silent guest by its vCPUs.
Judge = Callable[[Emulator], Awaitable[Freeze]]

Say = Callable[[str], None]


async def see(heart: Heart, number: int, within_s: float, adb: Adb | None) -> Load:
    """Return what the guest does after a load: whether it runs on.

    Args:
        heart: the emulator's console.
        number: of the load; 0 if nothing was loaded.
        within_s: how long to wait for its heartbeat.
        adb: asks a silent guest for its uptime.

    Raises:
        ConsoleError: the console does not answer.
    """
    watched = await watch(heart, within_s, adb)
    if watched.alive:
        return Load(number, Guest.RAN, watched)
    held = await heart.stopped()
    return Load(number, Guest.STOPPED if held else Guest.FROZE, watched)


async def try_loads(
    console: Console, tag: str, wanted: int, within_s: float, adb: Adb | None, say: Say
) -> tuple[Load, ...]:
    """Save a snapshot, load it some times, and delete it. A guest that froze is loaded no more.

    Args:
        console: of an emulator whose guest runs.
        tag: the snapshot's name, which must be losttick's own.
        wanted: how many loads.
        within_s: how long to wait for the heartbeat after each load.
        adb: asks a silent guest for its uptime.
        say: hears of each step.

    Raises:
        CannotSaveError: the emulator refuses to save.
        ConsoleError: the console does not answer, or refuses to load.
    """
    say(f"Saving a snapshot of the emulator under the name {tag}.")
    try:
        await console.save(tag)
    except RefusedError as error:
        raise CannotSaveError(error.reason) from error
    loads: list[Load] = []
    for number in range(1, wanted + 1):
        await console.load(tag)
        loads.append(await see(console, number, within_s, adb))
        say(f"Load {number} of {wanted}: {_words(loads[-1], within_s)}")
        if loads[-1].guest is not Guest.RAN:
            break
    return tuple(loads)


def _words(load: Load, within_s: float) -> str:
    if load.guest is Guest.RAN:
        sign = "uptime rises" if load.watched.uptime_rose else "heartbeat goes on"
        return f"Android runs on ({sign} after {load.watched.seconds:.1f} s)."
    if load.guest is Guest.STOPPED:
        return "the emulator says that it keeps the virtual device stopped."
    return f"Android gives no sign of life for {within_s:g} s."
