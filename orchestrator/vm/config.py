"""What one virtual machine is."""

import enum
from dataclasses import dataclass, field

from orchestrator.guest.apic import Apic
from orchestrator.guest.tick.config import GuestConfig
from orchestrator.guest.timer_mode import TimerMode


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


#: QEMU's machine type; another has another chipset, or an older one's behaviour.
DEFAULT_MACHINE = "pc"


#: A CPU model that every accelerator has.
DEFAULT_CPU = "qemu64"


#: The tick guest needs less than 1 MiB; what a save holds grows with it.
DEFAULT_MEMORY_MIB = 8


@dataclass(frozen=True, slots=True)
class InstanceConfig:
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
