"""QEMU's arguments for the tick guest."""

import enum
from dataclasses import dataclass, field

from orchestrator.guest.firmware import CONFIG_FILE, DEBUG_PORT, Apic, GuestConfig, TimerMode
from orchestrator.host.chardevs import QMP_CHARDEV, console_chardev

BIOS_FILE = "tick.bin"
DISK_FILE = "disk.qcow2"

#: Node name of the disk that holds the VM state.
DISK_NODE = "vmstate"


class Accel(enum.StrEnum):
    """What runs the guest's instructions."""

    KVM = "kvm"
    TCG = "tcg"


class IrqChip(enum.StrEnum):
    """Where KVM's guests have their interrupt controllers."""

    ON = "on"
    """All in the kernel."""
    SPLIT = "split"
    """The LAPIC in the kernel, the others in QEMU."""
    OFF = "off"
    """All in QEMU: no KVM_SET_LAPIC. QEMU refuses it with KVM since 8.2."""


#: Looked for on PATH.
DEFAULT_QEMU = "qemu-system-x86_64"

#: QEMU's machine type; another has another chipset, or an older one's behaviour.
DEFAULT_MACHINE = "pc"

#: A CPU model that every accelerator has.
DEFAULT_CPU = "qemu64"

#: The tick guest needs less than 1 MiB; what a save holds grows with it.
DEFAULT_MEMORY_MIB = 8


@dataclass(frozen=True, slots=True)
class MachineConfig:
    """One virtual machine."""

    accel: Accel
    guest: GuestConfig = field(default_factory=GuestConfig)
    machine: str = DEFAULT_MACHINE
    memory_mib: int = DEFAULT_MEMORY_MIB
    cpu_model: str = DEFAULT_CPU
    """Perhaps with features, such as `Nehalem,-x2apic`; those of the guest's mode are added."""
    irqchip: IrqChip = IrqChip.ON
    disk: bool = True
    """Whether there is a disk, to hold the VM state of snapshots."""

    @property
    def cpu(self) -> str:
        """The CPU: without the TSC-deadline timer, which would hide the bug, unless it is used."""
        deadline = "+" if self.guest.mode is TimerMode.TSC_DEADLINE else "-"
        x2apic = ",+x2apic" if self.guest.apic is Apic.X2APIC else ""
        return f"{self.cpu_model},{deadline}tsc-deadline{x2apic}"

    @property
    def consoles(self) -> int:
        """Streams that its guest prints to: one for each vCPU, or one for all."""
        return 1 if self.guest.shared_port else self.guest.vcpus

    @property
    def lapic_is_qemus(self) -> bool:
        """Whether QEMU itself emulates the LAPIC: its timer stops with the machine."""
        return self.accel is Accel.TCG or self.irqchip is IrqChip.OFF


def qemu_args(config: MachineConfig) -> list[str]:
    """Return the arguments; files are relative to QEMU's own folder.

    The guest stops QEMU neither by a reset nor by a shutdown: what crashed can
    still be looked at.
    """
    # Said in any case: machine types differ in what they take by themselves.
    irqchip = f",kernel-irqchip={config.irqchip}" if config.accel is Accel.KVM else ""
    disk = f"if=none,id=disk,node-name={DISK_NODE},file={DISK_FILE},format=qcow2,cache=unsafe"
    # As sockets, whose APIC IDs follow each other.
    vcpus = config.guest.vcpus
    own_ports = [
        ("-device", f"isa-debugcon,iobase={DEBUG_PORT + n:#x},chardev={console_chardev(n)}")
        for n in range(1, config.consoles)
    ]
    return [
        *("-nodefaults", "-no-user-config"),
        *("-display", "none"),
        *("-machine", f"{config.machine},accel={config.accel}{irqchip}"),
        *("-cpu", config.cpu),
        *("-m", str(config.memory_mib)),
        *("-smp", f"{vcpus},sockets={vcpus}" if vcpus > 1 else "1"),
        *("-bios", BIOS_FILE),
        *("-fw_cfg", f"name={CONFIG_FILE},string={config.guest.record()}"),
        *("-mon", f"chardev={QMP_CHARDEV},mode=control"),
        *("-serial", f"chardev:{console_chardev(0)}"),
        *(argument for port in own_ports for argument in port),
        *(("-drive", disk) if config.disk else ()),
        *("-no-reboot", "-no-shutdown"),
    ]  # fmt: skip
