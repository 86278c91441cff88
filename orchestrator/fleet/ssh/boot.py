"""Boots a host into a kernel, and back into the one that it had."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from orchestrator.errors import LosttickError
from orchestrator.fleet.fleet_file import Host
from orchestrator.fleet.ssh.connection import HostError, connect
from orchestrator.fleet.ssh.job import wait_until_free
from orchestrator.fleet.ssh.reply import Boots, BusyError, Facts, FailedThereError
from orchestrator.fleet.ssh.setting import Setting

#: Seconds between two tries to reach a host that boots.
_AGAIN_S = 3.0

#: Connections that may be lost before a host is asked to boot.
_MOST_LOST = 5

Say = Callable[[str], Awaitable[None]]


async def facts_of(setting: Setting, host: Host) -> Facts:
    """Return what a host is.

    Raises:
        LosttickError: it can't be asked.
    """
    async with connect(setting.address(host)) as connection:
        return await connection.ask("facts", Facts, folder=setting.fleet.ssh.folder)


async def boot(setting: Setting, host: Host, now: Facts, entry: str | None, say: Say) -> Facts:
    """Boot a host, once into an entry of the boot loader if one is given.

    Args:
        setting: of the fleet.
        host: to boot.
        now: what it is before.
        entry: of the boot loader; None for its default.
        say: is called with what is being waited for.

    Returns:
        What the host is once it is back.

    Raises:
        HostError: it does not come back in time.
        FailedThereError: it can't be booted by us.
    """
    within = setting.fleet.ssh.boot_s
    setting.kept.booted(host.name, now.release, now.boot_id)
    await _begin(setting, host, entry, say)
    try:
        async with asyncio.timeout(within):
            return await _back(setting, host, now.boot_id)
    except TimeoutError:
        raise HostError(
            f"{host.name} did not come back within {within:g} s after it was booted into "
            f"{entry or 'its default kernel'}. Look at its console; its tasks go on with "
            "`losttick fleet resume`"
        ) from None


async def _begin(setting: Setting, host: Host, entry: str | None, say: Say) -> None:
    """Have a host boot as soon as no run has it.

    Raises:
        HostError: it can't be asked.
        FailedThereError: it can't be booted by us.
    """
    lost = 0
    while True:
        await say(f"{host.name} boots into {entry or 'its default kernel'}")
        asked = False
        try:
            async with connect(setting.address(host)) as connection:
                asked = True
                await connection.ask("boot", Boots, answer_s=120, entry=entry)
            return
        except BusyError:
            await say(f"another run has {host.name}, which is booted after that")
        except FailedThereError as error:
            raise FailedThereError(
                f"booting {host.name} as {setting.fleet.ssh.user or 'your user there'}: {error}. "
                "It must be root, or have sudo without a password for grub-reboot and reboot"
            ) from error
        except HostError as error:
            if asked and error.later:
                return  # it goes down already
            lost += 1
            if not error.later or lost > _MOST_LOST:
                raise
            await asyncio.sleep(_AGAIN_S)
            continue
        with contextlib.suppress(HostError):  # then it is asked again
            async with connect(setting.address(host)) as connection:
                await wait_until_free(connection)


async def _back(setting: Setting, host: Host, ended: str) -> Facts:
    """Return what a host is once it has another boot id than the one that ended."""
    while True:
        with contextlib.suppress(LosttickError):  # an SSH server that starts answers anything
            facts = await facts_of(setting, host)
            if facts.boot_id != ended:
                return facts
        await asyncio.sleep(_AGAIN_S)


async def boot_home(setting: Setting, host: Host, say: Say) -> str:
    """Boot a host into the kernel that it had before we booted it.

    Returns:
        Words on why it does not run that; empty if it does.
    """
    home = setting.kept.home(host.name)
    if home is None:
        return ""
    told = f"{host.name} ran {home.release} before losttick booted it"
    try:
        facts = await facts_of(setting, host)
        by_name = setting.entry(host, home.release)
        for entry in (None, by_name) if by_name else (None,):
            if facts.release == home.release:
                break
            if not setting.allow_reboot:
                return f"{told}, and runs {facts.release} now: resume with --allow-reboot"
            facts = await boot(setting, host, facts, entry, say)
    except LosttickError as error:
        return f"{told}, and could not be booted back: {error}"
    if facts.release != home.release:
        return f"{told}, and runs {facts.release} now, its default: boot it"
    setting.kept.is_home(host.name)
    return ""
