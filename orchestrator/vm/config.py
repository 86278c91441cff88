"""The configuration of an instance: a virtual machine and its guest."""

import enum
from dataclasses import dataclass, field

from orchestrator.guest.apic import Apic
from orchestrator.guest.config import DEFAULT_GUEST, GuestConfig
from orchestrator.guest.protocol import Guest
from orchestrator.guest.registry import GUESTS
from orchestrator.timers.registry import TIMERS
from orchestrator.timers.timer import Timer


class Accel(enum.StrEnum):
    """The accelerator that runs the guest's instructions."""

    KVM = "kvm"
    TCG = "tcg"


class IrqChip(enum.StrEnum):
    """The interrupt controllers of a KVM guest that the kernel emulates."""

    ON = "on"
    """All of them in the kernel."""
    SPLIT = "split"
    """The LAPIC in the kernel, the other controllers in QEMU."""
    OFF = "off"
    """All of them in QEMU, without KVM_SET_LAPIC. QEMU refuses this with KVM since 8.2."""


class VmstateDisk(enum.StrEnum):
    """The disk that holds the VM state of snapshots."""

    FIRST = "first"
    """The only disk."""
    SECOND = "second"
    """The second of two disks. The first is read-only, so that no snapshot includes it."""


class Firmware(enum.StrEnum):
    """How the guest's firmware gets into the virtual machine."""

    BIOS = "bios"
    """As a ROM, by `-bios`."""
    PFLASH = "pflash"
    """In a read-only flash device, which has a state of its own in a save."""


#: QEMU's machine type. Machine types differ in their chipset, or behave as an older QEMU.
DEFAULT_MACHINE = "pc"


#: A CPU model that every accelerator has.
DEFAULT_CPU = "qemu64"


#: The tick guest needs less than 1 MiB, and a save grows with the guest's memory.
DEFAULT_MEMORY_MIB = 8


@dataclass(frozen=True, slots=True)
class InstanceConfig:
    """One virtual machine, its guest, and what is asked of the guest."""

    accel: Accel
    guest: GuestConfig = field(default_factory=GuestConfig)
    """The configuration that the guest gets."""
    program: Guest = field(default_factory=lambda: GUESTS[DEFAULT_GUEST])
    """The program that runs as the guest."""
    machine: str = DEFAULT_MACHINE
    memory_mib: int = DEFAULT_MEMORY_MIB
    cpu_model: str = DEFAULT_CPU
    """CPU model, perhaps with features, such as `Nehalem,-x2apic`. The features that the
    guest's timer and APIC need are added."""
    irqchip: IrqChip = IrqChip.ON
    disk: bool = True
    """Whether there is a disk, which holds the VM state of snapshots."""
    loads_run_on: bool = False
    """Whether the guest runs on by itself after a load in a new QEMU, which then starts
    without `-S`."""
    vmstate: VmstateDisk = VmstateDisk.FIRST
    firmware: Firmware = Firmware.BIOS
    args: tuple[str, ...] = ()
    """Arguments that follow losttick's own on QEMU's command line."""
    spawns: bool = False
    """Whether QEMU may start other programs, as it must to save and load by `exec:`."""

    @property
    def timer(self) -> Timer:
        """The timer that makes the guest tick."""
        timer = TIMERS[self.guest.mode].in_state(self.guest.state)
        if tick_ns := self.program.kernel_tick_ns:
            return timer.under_a_kernel(tick_ns / self.guest.period_ns)
        return timer

    @property
    def cpu(self) -> str:
        """QEMU's `-cpu` argument: the model with the features that timer and APIC need."""
        x2apic = "+x2apic" if self.guest.apic is Apic.X2APIC else ""
        return ",".join(filter(None, (self.cpu_model, self.timer.cpu_features, x2apic)))

    @property
    def consoles(self) -> int:
        """Number of streams that the guest prints to."""
        return self.program.consoles(self.guest)

    @property
    def lapic_is_qemus(self) -> bool:
        """True if QEMU emulates the LAPIC, so that its timer stops while the vCPUs are stopped."""
        return self.accel is Accel.TCG or self.irqchip is IrqChip.OFF

    @property
    def timer_is_qemus(self) -> bool:
        """True if QEMU emulates the timer, which stops while the vCPUs are stopped."""
        timer = self.timer
        outside = timer.behind_pic and self.irqchip is not IrqChip.ON
        return self.lapic_is_qemus or timer.always_qemus or outside

    @property
    def timer_stands_in_stop(self) -> bool:
        """True if the timer does not run while the vCPUs are stopped, whoever emulates it."""
        return self.timer_is_qemus or self.timer.stops_with_vm
