"""Checks, before anything is touched, whether loads can be tried in a virtual machine."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from orchestrator.attached.disks import BlockInfo, reasons_against, snapshots, writable
from orchestrator.attached.errors import UnfitGuestError
from orchestrator.attached.target import Target
from orchestrator.look.gather import run_state
from orchestrator.qmp.answers import VersionInfo
from orchestrator.qmp.commands import Commands
from orchestrator.qmp.errors import CommandFailedError

#: Since this version QEMU's human monitor marks an error as one.
OLDEST_QEMU = 4

#: Room that a snapshot needs besides the guest's memory: the state of its devices, and tables.
_BESIDES_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class MemorySize:
    """`query-memory-size-summary`."""

    base_memory: Annotated[int, Field(alias="base-memory")]


@dataclass(frozen=True, slots=True)
class Blocked:
    """`query-migrate`: what keeps the state of the machine from being saved."""

    blocked_reasons: Annotated[tuple[str, ...], Field(alias="blocked-reasons")] = ()


@dataclass(frozen=True, slots=True)
class Fit:
    """A virtual machine in which loads can be tried."""

    disks: Sequence[BlockInfo]
    """The writable disks, all of which take part in a snapshot."""
    snapshots: Sequence[str]
    """Names of the snapshots that are there already."""


async def require_fit(target: Target) -> Fit:
    """Return what the trials need to know; touch nothing.

    Raises:
        UnfitGuestError: loads can't be tried here, with all reasons.
        MonitorError: QEMU did not answer.
    """
    monitor, against = target.monitor, []
    version = await monitor.ask("query-version", VersionInfo)
    if version.qemu.major < OLDEST_QEMU:
        against.append(
            f"QEMU {version.qemu} is too old: before {OLDEST_QEMU}.0 nobody can tell whether a "
            "save failed. The Android Emulator has a test of its own, `losttick android`"
        )
    state = await run_state(monitor)
    if state != "running":
        against.append(
            f"its guest does not run (QEMU says {state!r}): continue the guest first, because "
            "losttick would not know when to leave it paused"
        )
    drives = await monitor.ask("query-block", list[BlockInfo])
    against += reasons_against(drives)
    against += [f"QEMU can't save its state: {why}" for why in await _blocked(monitor)]
    if not against:
        against += await _room(monitor, writable(drives))
    if against:
        raise UnfitGuestError(f"trying loads in {target.name}: {'; '.join(against)}.")
    return Fit(writable(drives), snapshots(drives))


async def _blocked(monitor: Commands) -> Sequence[str]:
    """Return what keeps the state from being saved, such as a device of the host; since 6.0."""
    return (await monitor.ask("query-migrate", Blocked)).blocked_reasons


async def _room(monitor: Commands, disks: Sequence[BlockInfo]) -> Sequence[str]:
    """Return why a snapshot might not fit; a full disk would stop the guest.

    QEMU chooses the disk for the state of the machine, so that each must have the room. Files that
    cannot be seen from here are left out.
    """
    try:
        memory = (await monitor.ask("query-memory-size-summary", MemorySize)).base_memory
    except CommandFailedError:
        return ()
    found = []
    for disk in disks:
        assert disk.inserted
        try:
            seen = os.statvfs(disk.inserted.file)
        except (OSError, ValueError):
            continue
        free = seen.f_bavail * seen.f_frsize
        if free < memory + _BESIDES_BYTES:
            found.append(
                f"the disk {disk.name} lies where only {free >> 20:,} MiB are free, and a snapshot "
                f"may need {memory + _BESIDES_BYTES >> 20:,} MiB: make room there"
            )
    return found
