"""One combination of the axes."""

import dataclasses
import functools
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.guest.apic import Apic
from orchestrator.guest.config import DEFAULT_GUEST, MAX_PERIOD_NS, GuestConfig
from orchestrator.guest.linux.kernel import DEFAULT_KERNEL
from orchestrator.guest.registry import GUESTS
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.wait import Wait
from orchestrator.host.qemu_binary import DEFAULT_QEMU
from orchestrator.plan.pause import NO_PAUSE, Pause
from orchestrator.plan.period import AUTO, AUTO_PERIODS_NS, SLOW_PERIODS_NS
from orchestrator.plan.phase import RANDOM, Phase
from orchestrator.plan.qemu_args import NO_ARGS, QemuArgs
from orchestrator.snapshot.method import CycleKind, Method, Resume
from orchestrator.timers.registry import TIMERS
from orchestrator.vm.config import (
    DEFAULT_CPU,
    DEFAULT_MACHINE,
    DEFAULT_MEMORY_MIB,
    Accel,
    Firmware,
    InstanceConfig,
    IrqChip,
    VmstateDisk,
)

#: The value of the axis `loader` that names no other QEMU.
SAME_QEMU = "same"


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of the axes."""

    accel: Accel
    mode: str
    """Name of the timer that makes the guest tick."""
    apic: Apic
    method: Method
    period_ns: int | None
    """Timer period; None for `auto`, so that it is measured before the trials."""
    loads_per_save: int
    cycle: CycleKind = CycleKind.REPEAT
    host: str = ""
    """Name of the lab on which the cell runs; empty for this computer."""
    irqchip: IrqChip = IrqChip.ON
    phase: Phase = RANDOM
    qemu: str = DEFAULT_QEMU
    machine: str = DEFAULT_MACHINE
    cpu: str = DEFAULT_CPU
    vcpus: int = 1
    memory_mib: int = DEFAULT_MEMORY_MIB
    guest: str = DEFAULT_GUEST
    """Name of the guest that runs."""
    guest_kernel: str = DEFAULT_KERNEL
    """The kernel that a guest boots, if it has one."""
    wait: Wait = Wait.BUSY
    state: SavedState = SavedState.ARMED
    resume: Resume = Resume.CONT
    """How the guest runs on after a load."""
    pause_before_load: Pause = NO_PAUSE
    """How long to wait before each load."""
    pause_before_cont: Pause = NO_PAUSE
    """How long to wait between each load and `cont`."""
    loader: str = SAME_QEMU
    """The QEMU binary that loads; `same` for the one that saves."""
    vmstate: VmstateDisk = VmstateDisk.FIRST
    """The disk that holds the VM state."""
    firmware: Firmware = Firmware.BIOS
    """How the guest's firmware gets into the VM."""
    qemu_args: QemuArgs = NO_ARGS
    """Further arguments for QEMU."""

    @property
    def id(self) -> str:
        """A stable name, which depends only on the values of the cell.

        First come the axes that every id contains; then `name=value` for each other axis
        that differs from its default, in alphabetical order. A new axis therefore changes
        no existing id.
        """
        return _id(self)

    @property
    def like(self) -> str:
        """The id without lab and QEMU. Two cells that may be compared have the same.

        Lab and QEMU may be what the runs of the cells differ in.
        """
        return _like(self)

    @property
    def image_name(self) -> str:
        """Name of the image that the guest boots: the guest's, and its kernel's unless default."""
        kernel = self.guest_kernel
        return self.guest if kernel == DEFAULT_KERNEL else f"{self.guest} {kernel}"

    @property
    def auto_periods_ns(self) -> tuple[int, ...]:
        """The periods that `auto` chooses from, as the cell's timer can have them."""
        return self._nearest(AUTO_PERIODS_NS)

    @property
    def slow_periods_ns(self) -> tuple[int, ...]:
        """The same on a host whose guests print slowly. All vCPUs print to one port there."""
        periods = (each * self.vcpus for each in SLOW_PERIODS_NS)
        return self._nearest(min(each, MAX_PERIOD_NS) for each in periods)

    def _nearest(self, periods_ns: Iterable[int]) -> tuple[int, ...]:
        timer, guest = TIMERS[self.mode], GUESTS[self.guest]
        nearest = (guest.nearest_period_ns(timer.nearest_period_ns(each)) for each in periods_ns)
        return tuple(dict.fromkeys(nearest))

    def instance_config(
        self,
        period_ns: int | None = None,
        *,
        control_tick: int = 0,
        control_periods: int = 6,
        subject: int = 0,
    ) -> InstanceConfig:
        """Return the virtual machine of this cell.

        Args:
            period_ns: the timer period if the cell's is `auto`; by default the shortest that
                `auto` may choose.
            control_tick: tick after which the guest's built-in control begins; 0 for no control.
            control_periods: length of the control's window.
            subject: the vCPU on which the control happens.
        """
        guest = GuestConfig(
            mode=self.mode,
            apic=self.apic,
            period_ns=self.period_ns or period_ns or self.auto_periods_ns[0],
            control_tick=control_tick,
            control_periods=control_periods,
            vcpus=self.vcpus,
            subject=subject,
            wait=self.wait,
            # A control needs a tick that comes by itself.
            state=SavedState.ARMED if control_tick else self.state,
        )
        program = GUESTS[self.guest].booting(self.guest_kernel)
        return InstanceConfig(
            self.accel, guest, program, machine=self.machine,
            memory_mib=max(self.memory_mib, program.least_memory_mib),
            cpu_model=self.cpu, irqchip=self.irqchip,
            loads_run_on=self.resume is Resume.AUTO, vmstate=self.vmstate,
            firmware=self.firmware, args=self.qemu_args.args,
        )  # fmt: skip


@functools.lru_cache(maxsize=4096)
def _id(cell: Cell) -> str:
    """Return the id of a cell. It is asked for often, and many runs have the same cells."""
    host = f"{cell.host}/" if cell.host else ""
    repeat = cell.cycle is CycleKind.REPEAT
    cycle = f"{cell.loads_per_save}loads" if repeat else cell.cycle
    period = AUTO if cell.period_ns is None else f"{cell.period_ns / 1e6:.10g}ms"
    others = "".join(
        f"/{name}={value}"
        for name, default in _further_axes()
        if (value := getattr(cell, name)) != default
    )
    return f"{host}{cell.accel}/{cell.mode}/{cell.apic}/{cell.method}/{period}/{cycle}" + others


@functools.lru_cache(maxsize=4096)
def _like(cell: Cell) -> str:
    return _id(dataclasses.replace(cell, host="", qemu=DEFAULT_QEMU))


@functools.cache
def _further_axes() -> tuple[tuple[str, object], ...]:
    """Return the axes that an id names only beside their default, with it, in order."""
    return tuple(
        (field.name, field.default)
        for field in sorted(dataclasses.fields(Cell), key=lambda field: field.name)
        if field.default is not dataclasses.MISSING and field.name not in ("host", "cycle")
    )


def differing(one: Cell, other: Cell) -> list[str]:
    """Return the names of the fields in which two cells differ."""
    names = (field.name for field in dataclasses.fields(Cell))
    return [name for name in names if getattr(one, name) != getattr(other, name)]
