"""The axes of a plan, and the cells that they span."""

import itertools
import math
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic_core import CoreSchema, core_schema

from orchestrator.guest.apic import Apic
from orchestrator.guest.config import (
    DEFAULT_GUEST,
    DEFAULT_TIMER,
    MAX_VCPUS,
)
from orchestrator.guest.linux.kernel import DEFAULT_KERNEL
from orchestrator.guest.registry import GUESTS
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.wait import Wait
from orchestrator.host.qemu_binary import DEFAULT_QEMU
from orchestrator.plan.cell import SAME_QEMU, Cell
from orchestrator.plan.choices import AccelChoice
from orchestrator.plan.pause import NO_PAUSE, Pause
from orchestrator.plan.period import AUTO, PeriodMs, period_ns
from orchestrator.plan.phase import RANDOM, Phase
from orchestrator.plan.plain_text import PlainPath
from orchestrator.plan.qemu_args import NO_ARGS, QemuArgs
from orchestrator.plan.registered import NameIn
from orchestrator.plan.strict import WHOLE, Strict
from orchestrator.snapshot.method import CycleKind, Method, Resume
from orchestrator.timers.registry import TIMERS
from orchestrator.vm.config import (
    DEFAULT_CPU,
    DEFAULT_MACHINE,
    DEFAULT_MEMORY_MIB,
    Accel,
    Firmware,
    IrqChip,
    VmstateDisk,
)
from orchestrator.vm.own_options import check_machine

#: Most loads of one save. They share its phase and LAPIC state, so they are not independent.
MAX_LOADS_PER_SAVE = 25

#: Longest name of a machine type or CPU model with its options.
LONGEST_NAME = 10_000


class _OneOrMore:
    """Accepts a single value as a list of one, here and in the JSON Schema."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: value if isinstance(value, list) else [value], handler(source)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        listed = handler(schema)
        return {"anyOf": [listed["items"], listed]}


T = TypeVar("T")


#: One value, or a list of them.
Axis = Annotated[list[T], Field(min_length=1), _OneOrMore()]


class Axes(Strict):
    """The settings to vary: each axis is one value or a list of values."""

    accel: Axis[AccelChoice] = [AccelChoice.AUTO]
    """Accelerator. `auto` means KVM where KVM works, else TCG."""
    mode: Axis[Annotated[str, NameIn(TIMERS)]] = [DEFAULT_TIMER]
    """The timer that makes the guest tick."""
    apic: Axis[Apic] = [Apic.XAPIC]
    """How the guest reaches its LAPIC."""
    method: Axis[Method] = [Method.HMP]
    """How state is saved and loaded."""
    period_ms: Axis[PeriodMs] = [AUTO]
    """Timer period in milliseconds. `auto` means the shortest of 5, 10, 20, 50 and 100 that
    suits the host, measured before the trials of each cell."""
    loads_per_save: Axis[Annotated[int, Field(strict=True, ge=1, le=MAX_LOADS_PER_SAVE), WHOLE]] = [
        MAX_LOADS_PER_SAVE
    ]
    """Loads of each save. Used only with the cycle `repeat`."""
    cycle: Axis[CycleKind] = [CycleKind.REPEAT]
    """The guest that is saved next, and how often each save is loaded."""
    irqchip: Axis[IrqChip] = [IrqChip.ON]
    """The interrupt controllers that KVM emulates itself."""
    phase: Axis[Phase] = Field(default=[RANDOM], json_schema_extra={"default": [str(RANDOM)]})
    """Phase of the timer period at which saves are taken: a number from 0 to 1, `"LOW-HIGH"`,
    `random`, or `expired`."""
    qemu: Axis[PlainPath] = [DEFAULT_QEMU]
    """QEMU binary: a path, or a name on PATH."""
    machine: Axis[
        Annotated[
            str,
            Field(
                pattern=r"^[A-Za-z0-9._+-]+(,[A-Za-z0-9._-]+=[A-Za-z0-9._:/-]+)*$",
                max_length=LONGEST_NAME,
            ),
            AfterValidator(check_machine),
        ]
    ] = [DEFAULT_MACHINE]
    """QEMU's machine type, such as `q35`, `pc-i440fx-2.12-or-later` or `pc-i440fx-oldest`,
    optionally with options, such as `pc,hpet=off`."""
    cpu: Axis[
        Annotated[
            str,
            Field(pattern=r"^[A-Za-z0-9._+-]+(,[A-Za-z0-9._+=:-]+)*$", max_length=LONGEST_NAME),
        ]
    ] = [DEFAULT_CPU]
    """CPU model, optionally with features. Features that the timer mode needs are added."""
    vcpus: Axis[Annotated[int, Field(strict=True, ge=1, le=MAX_VCPUS), WHOLE]] = [1]
    """vCPUs of the guest."""
    memory_mib: Axis[Annotated[int, Field(strict=True, ge=2, le=3072), WHOLE]] = [
        DEFAULT_MEMORY_MIB
    ]
    """The guest's memory in MiB; more where the guest needs more."""
    guest: Axis[Annotated[str, NameIn(GUESTS)]] = [DEFAULT_GUEST]
    """The guest that runs in the VM."""
    guest_kernel: Axis[PlainPath] = [DEFAULT_KERNEL]
    """The kernel that the guest `linux` boots: `debian:SUITE`, `debian:VERSION`, `host`, or the
    path of a bzImage."""
    wait: Axis[Wait] = [Wait.BUSY]
    """The guest's wait for a tick: it runs a loop, or it halts its vCPU."""
    state: Axis[SavedState] = [SavedState.ARMED]
    """State of the LAPIC in which saves are taken."""
    resume: Axis[Resume] = [Resume.CONT]
    """How the guest runs on after a load: by losttick's `cont`, or by itself."""
    pause_before_load: Axis[Pause] = Field(
        default=[NO_PAUSE], json_schema_extra={"default": [str(NO_PAUSE)]}
    )
    """Pause before each load: `"3 periods"`, `"10 s"`, `"500 ms"` or 0."""
    pause_before_cont: Axis[Pause] = Field(
        default=[NO_PAUSE], json_schema_extra={"default": [str(NO_PAUSE)]}
    )
    """Pause between each load and `cont`, in the same form."""
    loader: Axis[PlainPath] = [SAME_QEMU]
    """QEMU binary that loads: `same`, a path, or a name on PATH. Another QEMU than the one
    that saves needs a method that loads into a new QEMU."""
    vmstate: Axis[VmstateDisk] = [VmstateDisk.FIRST]
    """Disk that holds the VM state: the only disk, or the second of two."""
    firmware: Axis[Firmware] = [Firmware.BIOS]
    """How the guest's firmware gets into the VM: as a ROM, or in a read-only flash device."""
    qemu_args: Axis[QemuArgs] = Field(default=[NO_ARGS], json_schema_extra={"default": [""]})
    """Further arguments for QEMU: one text for each cell, such as `"-device virtio-rng-pci"`."""

    @property
    def size(self) -> int:
        """Number of combinations. Fewer cells result where combinations are equal."""
        return math.prod(len(getattr(self, name)) for name in type(self).model_fields)

    def cells(self, auto: Accel) -> "list[Cell]":
        """Return every combination, with `auto` for the accelerator that works here."""
        names = list(type(self).model_fields)
        spanned = itertools.product(*(getattr(self, name) for name in names))
        return [_cell(dict(zip(names, values, strict=True)), auto) for values in spanned]

    def match(self, cell: "Cell", auto: Accel) -> bool:
        """Return whether the cell matches every axis that this table names."""
        for name in self.model_fields_set:
            wanted = getattr(self, name)
            if name == "period_ms":
                matched = cell.period_ns in {period_ns(value) for value in wanted}
            elif name == "accel":
                matched = cell.accel in {_accel(value, auto) for value in wanted}
            else:
                matched = getattr(cell, name) in wanted
            if not matched:
                return False
        return True


def _accel(choice: AccelChoice, auto: Accel) -> Accel:
    return auto if choice is AccelChoice.AUTO else Accel(choice)


def _cell(values: dict[str, Any], auto: Accel) -> "Cell":
    """Return the cell with these values, one for each axis.

    Only the cycle `repeat` has a number of loads: other cycles load each save once.
    """
    values["accel"] = _accel(values["accel"], auto)
    values["period_ns"] = period_ns(values.pop("period_ms"))
    if values["cycle"] is not CycleKind.REPEAT:
        values["loads_per_save"] = 1
    return Cell(**values)
