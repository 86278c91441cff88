"""Checks by trying whether a virtual machine starts, and tells what a failure to start shows.

Only two failures show that the machine can't be had here: the guest itself says that its CPU
lacks something, or QEMU refuses the arguments of this machine while it runs the plainest one
with the same accelerator. Any other failure shows nothing about the machine.
"""

import re
from collections.abc import Mapping
from typing import TypeVar

from orchestrator.campaign.unfit import UnfitCellError
from orchestrator.errors import Lack
from orchestrator.guest.apic import Apic
from orchestrator.guest.config import DEFAULT_TIMER, GuestConfig
from orchestrator.host.errors import QemuStartError
from orchestrator.host.protocol import Host
from orchestrator.vm.config import InstanceConfig
from orchestrator.vm.launch import GuestRefusedError, GuestStartError
from orchestrator.vm.tryout import Tryout, try_once

L = TypeVar("L")

#: Words by which QEMU names the argument that it refuses, and whose setting it is.
_NAMED = (
    (r"machine type", Lack.MACHINE),
    (r"CPU model|CPU feature|-cpu\b|host doesn't support requested feature", Lack.CPU),
    (r"irqchip", Lack.IRQCHIP),
    (r"SMP|smp|maxcpus|CPUs requested", Lack.VCPUS),
)  # fmt: skip


#: Pauses after which a machine is tried again whose failure shows nothing about it, such as a QEMU
#: that somebody killed.
PAUSES_NS = (500_000_000, 3_000_000_000)


async def check_starts(host: Host, config: InstanceConfig) -> None:
    """Check that the guest of an instance ticks, by starting it.

    Raises:
        UnfitCellError: the guest or QEMU refuses what it is asked for.
        LosttickError: the instance did not start, or did not tick, for another reason.
    """
    tried = await _try_with_patience(host, config)
    if tried.why_not is None:
        return
    error = tried.error
    if isinstance(error, GuestRefusedError):
        raise UnfitCellError(tried.why_not, _lacked_by_guest(config))
    plainest = InstanceConfig(config.accel, GuestConfig(period_ns=config.guest.period_ns))
    refused = isinstance(error, QemuStartError) and error.refused
    if refused and config != plainest and (await try_once(host, plainest)).why_not is None:
        raise UnfitCellError(tried.why_not, _lacked_by_qemu(tried.why_not, config, plainest))
    raise error or GuestStartError(f"trying the virtual machine of the cell: {tried.why_not}")


async def _try_with_patience(host: Host, config: InstanceConfig) -> Tryout:
    """Run a guest for a few ticks; try again after a failure that shows nothing about it."""
    for pause_ns in PAUSES_NS:
        tried = await try_once(host, config)
        error = tried.error
        answered = isinstance(error, QemuStartError) and error.refused
        if error is None or answered or isinstance(error, GuestRefusedError):
            return tried
        await host.clock.sleep(pause_ns)
    return await try_once(host, config)


def _lacked_by_guest(config: InstanceConfig) -> Lack | None:
    """Return what a guest lacks that refuses its configuration, if only one setting is special."""
    guest = config.guest
    return _only(
        {
            Lack.MODE: guest.mode != DEFAULT_TIMER,
            Lack.APIC: guest.apic is not Apic.XAPIC,
            Lack.VCPUS: guest.vcpus > 1,
            Lack.GUEST_KERNEL: config.program.kernel_tick_ns > 0,
        }
    )


def _lacked_by_qemu(words: str, config: InstanceConfig, plainest: InstanceConfig) -> Lack | None:
    """Return the special setting that QEMU's words name, or else the only special one."""
    special: dict[Lack | None, bool] = {
        Lack.MACHINE: config.machine != plainest.machine,
        Lack.CPU: config.cpu_model != plainest.cpu_model,
        Lack.IRQCHIP: config.irqchip is not plainest.irqchip,
        Lack.VCPUS: config.guest.vcpus != plainest.guest.vcpus,
        Lack.MODE: config.guest.mode != plainest.guest.mode,
        Lack.FIRMWARE: config.firmware is not plainest.firmware,
        Lack.VMSTATE: config.vmstate is not plainest.vmstate,
        None: bool(config.args) or config.memory_mib != plainest.memory_mib,
    }
    for said, lack in _NAMED:
        if special[lack] and re.search(said, words):
            return lack
    return _only(special)


def _only(special: Mapping[L, bool]) -> L | None:
    """Return the only setting that is special; None if there are several."""
    found = [lack for lack, is_special in special.items() if is_special]
    return found[0] if len(found) == 1 else None
