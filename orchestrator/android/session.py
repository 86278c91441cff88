"""A test of one emulator, from its start to its end."""

import asyncio
import secrets
from dataclasses import dataclass
from pathlib import Path

from orchestrator.android.adb import Adb
from orchestrator.android.console import Console, Times
from orchestrator.android.emulator import Emulator, Wanted, attached, connected, started
from orchestrator.android.errors import (
    EmulatorDiedError,
    EmulatorStartError,
    NotBootedError,
    RefusedError,
)
from orchestrator.android.findings import Findings, Guest, Load
from orchestrator.android.guard import guarded
from orchestrator.android.judge import judge
from orchestrator.android.life import boot
from orchestrator.android.loads import Say, see, try_loads
from orchestrator.android.running import Running
from orchestrator.android.vcpus import Vcpus, read_vcpus

_TESTING = "testing the emulator"


@dataclass(frozen=True, slots=True)
class Aims:
    """What to do with the emulator, and how long to wait."""

    loads: int
    """Loads of a snapshot; 0 to look at a running guest only."""
    alive_s: float = 60.0
    """How long the heartbeat may be silent after a load."""
    boot_s: float = 300.0
    """How long Android may take to boot."""


def new_tag() -> str:
    """Return a name for a snapshot that nobody else uses."""
    return f"losttick-{secrets.token_hex(4)}"


async def examine_started(
    wanted: Wanted, adb: Path, aims: Aims, times: Times, say: Say
) -> Findings:
    """Start an emulator, test it, and end it.

    Raises:
        EmulatorStartError: it does not start.
        NotBootedError: Android does not boot.
        LosttickError: another error of the package.
    """
    tag = new_tag()
    async with started(wanted, times) as emulator, guarded(emulator, tag):
        asked = Adb(adb, emulator.serial)
        try:
            try:
                console = await emulator.while_it_runs(
                    "waiting for Android to boot", _booted(emulator, asked, aims, say)
                )
            except EmulatorDiedError as error:
                raise EmulatorStartError("it ended before Android had booted", error.end) from error
            return await emulator.while_it_runs(
                _TESTING, _test(emulator, console, asked, tag, aims, say)
            )
        finally:
            await asked.close()


async def examine_running(
    found: Running, adb: Path | None, aims: Aims, times: Times, say: Say
) -> Findings:
    """Look at an emulator that somebody else started, and test it if loads are wanted.

    Raises:
        LosttickError: an error of the package.
    """
    tag = new_tag()
    async with attached(found, times) as emulator, guarded(emulator, tag):
        asked = Adb(adb, emulator.serial) if adb else None
        try:
            console = await emulator.console()
            return await emulator.while_it_runs(
                _TESTING, _test(emulator, console, asked, tag, aims, say, look_first=True)
            )
        finally:
            if asked:
                await asked.close()


async def _booted(emulator: Emulator, adb: Adb, aims: Aims, say: Say) -> Console:
    say(f"Starting the emulator ({emulator.serial}), and waiting for Android to boot.")
    try:
        async with asyncio.timeout(aims.boot_s):
            console = await connected(emulator)
    except TimeoutError:
        raise NotBootedError(aims.boot_s, "the emulator's console did not answer") from None
    try:
        await boot(console, adb, aims.boot_s)
    except BaseException:
        await console.close()
        raise
    say("Android has booted, and its heartbeat rises.")
    return console


async def _test(
    emulator: Emulator,
    console: Console,
    adb: Adb | None,
    tag: str,
    aims: Aims,
    say: Say,
    *,
    look_first: bool = False,
) -> Findings:
    """Test an emulator whose console answers; leave no snapshot."""
    loads: list[Load] = []
    vcpus, trouble, freeze = Vcpus("", ()), "", None
    try:
        if look_first:
            say("Looking for a sign of life.")
            loads.append(await see(console, 0, aims.alive_s, adb))
        if not loads or loads[-1].guest is Guest.RAN:
            asked = await read_vcpus(emulator)
            if isinstance(asked, Vcpus):
                vcpus = asked
            else:
                say(f"Which timers Android uses is not known: {asked.rstrip('.')}.")
            if aims.loads:
                loads += await try_loads(console, tag, aims.loads, aims.alive_s, adb, say)
        if loads and loads[-1].guest is Guest.FROZE:
            say("Looking at the processors of the frozen guest.")
            freeze = await judge(emulator)
        if any(load.number for load in loads):
            trouble = await _deleted(console, tag)
    finally:
        await console.close()
    return Findings(
        emulator.avd, emulator.owned, vcpus.timers, aims.loads, tuple(loads), freeze, vcpus.qemu,
        trouble,
    )  # fmt: skip


async def _deleted(console: Console, tag: str) -> str:
    """Delete losttick's snapshot; return why that failed, or nothing."""
    try:
        await console.delete(tag)
    except RefusedError as error:
        return (
            f"losttick's own snapshot {tag} is still there: the emulator refuses to delete it "
            f"({error.reason})"
        )
    return ""
