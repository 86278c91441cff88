"""What one virtual machine is."""

import enum
from dataclasses import dataclass, field

from orchestrator.guest.apic import Apic
from orchestrator.guest.config import DEFAULT_GUEST, GuestConfig
from orchestrator.guest.protocol import Guest
from orchestrator.guest.registry import GUESTS
from orchestrator.timers.registry import TIMERS
from orchestrator.timers.timer import Timer


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
    """What the guest is told."""
    program: Guest = field(default_factory=lambda: GUESTS[DEFAULT_GUEST])
    """The guest that runs."""
    machine: str = DEFAULT_MACHINE
    memory_mib: int = DEFAULT_MEMORY_MIB
    cpu_model: str = DEFAULT_CPU
    """CPU model, perhaps with features, such as `Nehalem,-x2apic`. The features that the
    guest's timer and APIC need are added."""
    irqchip: IrqChip = IrqChip.ON
    disk: bool = True
    """Whether there is a disk, to hold the VM state of snapshots."""

    @property
    def timer(self) -> Timer:
        """The timer that makes the guest tick."""
        return TIMERS[self.guest.mode]

    @property
    def cpu(self) -> str:
        """QEMU's `-cpu` argument: the model with the features that timer and APIC need."""
        x2apic = "+x2apic" if self.guest.apic is Apic.X2APIC else ""
        return ",".join(filter(None, (self.cpu_model, self.timer.cpu_features, x2apic)))

    @property
    def consoles(self) -> int:
        """Streams that the guest prints to."""
        return self.program.consoles(self.guest)

    @property
    def lapic_is_qemus(self) -> bool:
        """Whether QEMU itself emulates the LAPIC: its timer stops with the machine."""
        return self.accel is Accel.TCG or self.irqchip is IrqChip.OFF
