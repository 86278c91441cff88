"""QEMU's arguments for the tick guest."""

import enum
from dataclasses import dataclass, field

from orchestrator.guest.firmware import CONFIG_FILE, Apic, GuestConfig, TimerMode
from orchestrator.host.protocol import CONSOLE_CHARDEV, QMP_CHARDEV

BIOS_FILE = "tick.bin"
DISK_FILE = "disk.qcow2"

#: Node name of the disk that holds the VM state.
DISK_NODE = "vmstate"


class Accel(enum.StrEnum):
    """What runs the guest's instructions."""

    KVM = "kvm"
    TCG = "tcg"


@dataclass(frozen=True, slots=True)
class MachineConfig:
    """One virtual machine."""

    accel: Accel
    guest: GuestConfig = field(default_factory=GuestConfig)
    machine: str = "pc"
    memory_mib: int = 8

    @property
    def cpu(self) -> str:
        """The CPU model: one without the TSC-deadline timer, which would hide the bug."""
        deadline = "+" if self.guest.mode is TimerMode.TSC_DEADLINE else "-"
        x2apic = ",+x2apic" if self.guest.apic is Apic.X2APIC else ""
        return f"qemu64,{deadline}tsc-deadline{x2apic}"


def qemu_args(config: MachineConfig) -> list[str]:
    """Return the arguments; files are relative to QEMU's own folder.

    The guest stops QEMU neither by a reset nor by a shutdown: what crashed can
    still be looked at.
    """
    return [
        *("-nodefaults", "-no-user-config"),
        *("-display", "none"),
        *("-machine", f"{config.machine},accel={config.accel}"),
        *("-cpu", config.cpu),
        *("-m", str(config.memory_mib)),
        *("-smp", "1"),
        *("-bios", BIOS_FILE),
        *("-fw_cfg", f"name={CONFIG_FILE},string={config.guest.record()}"),
        *("-mon", f"chardev={QMP_CHARDEV},mode=control"),
        *("-serial", f"chardev:{CONSOLE_CHARDEV}"),
        *("-drive", f"if=none,id=disk,node-name={DISK_NODE},file={DISK_FILE},"
                    "format=qcow2,cache=unsafe"),
        *("-no-reboot", "-no-shutdown"),
    ]  # fmt: skip
