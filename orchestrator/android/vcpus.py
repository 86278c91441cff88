"""The emulator's QEMU: its version, and the timers that its vCPUs use."""

from dataclasses import dataclass

from orchestrator.android.emulator import Emulator
from orchestrator.attached.target import socket_target
from orchestrator.errors import LosttickError
from orchestrator.guest.lapic import parse_lapic

#: vCPUs that are looked at; a phone has fewer.
_MOST = 32

NO_MONITOR = "it was started without a monitor for QEMU (-qemu -qmp unix:PATH,server,nowait)"


@dataclass(frozen=True, slots=True)
class Vcpus:
    """The emulator's QEMU, as it was asked before the first save."""

    qemu: str
    timers: tuple[str, ...]
    """The timer of each vCPU, in order."""


async def read_vcpus(emulator: Emulator) -> Vcpus | str:
    """Return what the emulator's QEMU says of itself, or why it does not.

    Reading the LAPICs synchronizes the vCPUs with KVM: not between a load and its verdict.
    """
    if emulator.qmp is None:
        return NO_MONITOR
    try:
        async with socket_target(str(emulator.qmp)) as target:
            timers = []
            for vcpu in range(min(len(target.qemu.vcpus), _MOST)):
                lapic = parse_lapic(await target.monitor.hmp("info lapic", vcpu=vcpu))
                timers.append(str(lapic.timer) or "unknown")
            return Vcpus(target.qemu.version or "", tuple(timers))
    except (LosttickError, ValueError) as error:
        return str(error)
