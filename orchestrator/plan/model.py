"""The plan: axes, cells and limits, checked."""

import dataclasses
import itertools
import math
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from orchestrator.campaign.statistics import trials_needed
from orchestrator.errors import InputError
from orchestrator.guest.firmware import (
    MAX_PERIOD_NS,
    MAX_VCPUS,
    MIN_PERIOD_NS,
    Apic,
    GuestConfig,
    TimerMode,
)
from orchestrator.plan.choices import AccelChoice, Requirement
from orchestrator.plan.phase import RANDOM, Phase
from orchestrator.snapshot import CycleKind, Method
from orchestrator.vm.argv import (
    DEFAULT_CPU,
    DEFAULT_MACHINE,
    DEFAULT_MEMORY_MIB,
    DEFAULT_QEMU,
    Accel,
    IrqChip,
    MachineConfig,
)

#: Loads of one save: they share its phase and LAPIC state, so they are not independent.
MAX_LOADS_PER_SAVE = 25

#: Trials of a cell: some days of them.
MAX_TRIALS = 10_000_000


#: Cells of a plan: each takes seconds at least.
MAX_CELLS = 10_000


class NoCellsError(InputError):
    """The plan's exclusions leave nothing."""


class _OneOrMore:
    """A value alone is a list of one; the JSON Schema says so, too."""

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


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Axes(_Strict):
    """What is varied: each axis is one value or a list of them."""

    accel: Axis[AccelChoice] = [AccelChoice.AUTO]
    """Accelerator; `auto` is KVM where it works, else TCG."""
    mode: Axis[TimerMode] = [TimerMode.ONE_SHOT]
    """The guest's LAPIC timer mode."""
    apic: Axis[Apic] = [Apic.XAPIC]
    """How the guest reaches its LAPIC."""
    method: Axis[Method] = [Method.HMP]
    """How state is saved and loaded."""
    period_ms: Axis[Annotated[float, Field(ge=MIN_PERIOD_NS / 1e6, le=MAX_PERIOD_NS / 1e6)]] = [20]
    """Timer period in milliseconds."""
    loads_per_save: Axis[Annotated[int, Field(strict=True, ge=1, le=MAX_LOADS_PER_SAVE)]] = [
        MAX_LOADS_PER_SAVE
    ]
    """Loads of each save, where the cycle repeats them."""
    cycle: Axis[CycleKind] = [CycleKind.REPEAT]
    """Which guests are saved, and how often a save is loaded."""
    irqchip: Axis[IrqChip] = [IrqChip.ON]
    """Where KVM has the guest's interrupt controllers."""
    phase: Axis[Phase] = Field(default=[RANDOM], json_schema_extra={"default": [str(RANDOM)]})
    """Where in the timer period saves are taken: a number from 0 to 1, `"LOW-HIGH"`,
    `random`, or `expired`."""
    qemu: Axis[Annotated[str, Field(min_length=1)]] = [DEFAULT_QEMU]
    """QEMU binary: a path, or a name on PATH."""
    machine: Axis[Annotated[str, Field(pattern=r"^[A-Za-z0-9._+-]+$")]] = [DEFAULT_MACHINE]
    """QEMU's machine type, such as `q35` or `pc-i440fx-2.12`."""
    cpu: Axis[Annotated[str, Field(pattern=r"^[A-Za-z0-9._+-]+(,[A-Za-z0-9._+=-]+)*$")]] = [
        DEFAULT_CPU
    ]
    """CPU model, perhaps with features; those that the timer mode takes are added."""
    vcpus: Axis[Annotated[int, Field(strict=True, ge=1, le=MAX_VCPUS)]] = [1]
    """vCPUs of the guest."""
    memory_mib: Axis[Annotated[int, Field(strict=True, ge=2, le=3072)]] = [DEFAULT_MEMORY_MIB]
    """The guest's memory in MiB."""

    @property
    def size(self) -> int:
        """Cells that they span, at most."""
        return math.prod(len(getattr(self, name)) for name in type(self).model_fields)

    def cells(self, auto: Accel) -> "list[Cell]":
        """Return every combination, with `auto` for the accelerator that works here."""
        names = list(type(self).model_fields)
        spanned = itertools.product(*(getattr(self, name) for name in names))
        return [_cell(dict(zip(names, values, strict=True)), auto) for values in spanned]

    def match(self, cell: "Cell", auto: Accel) -> bool:
        """Whether a cell has one of the values of each axis that was named."""
        for name in self.model_fields_set:
            wanted = getattr(self, name)
            if name == "period_ms":
                matched = cell.period_ns in {_ns(value) for value in wanted}
            elif name == "accel":
                matched = cell.accel in {_accel(value, auto) for value in wanted}
            else:
                matched = getattr(cell, name) in wanted
            if not matched:
                return False
        return True


def _ns(period_ms: float) -> int:
    return round(period_ms * 1e6)


def _accel(choice: AccelChoice, auto: Accel) -> Accel:
    return auto if choice is AccelChoice.AUTO else Accel(choice)


def _cell(values: dict[str, Any], auto: Accel) -> "Cell":
    """Return the cell of one value an axis, in its plain form."""
    values["accel"] = _accel(values["accel"], auto)
    values["period_ns"] = _ns(values.pop("period_ms"))
    if values["cycle"] is not CycleKind.REPEAT:
        values["loads_per_save"] = 1
    return Cell(**values)


class PlanLimits(_Strict):
    """When a cell has seen enough."""

    rule_out: float = Field(default=0.01, gt=0, lt=1)
    """Loss rate that `clean` rules out."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence of verdicts and intervals."""
    stop_after: int | None = Field(default=None, strict=True, ge=1)
    """Losses, each diagnosed as this bug, after which a cell has seen enough."""
    trials: int | None = Field(default=None, strict=True, ge=1, le=MAX_TRIALS)
    """Eligible trials a cell; by default what `rule_out` takes."""
    seconds: float | None = Field(default=None, gt=0, le=10_000_000)
    """Time for a cell's trials, by its host's clock; with fewer trials than planned by then
    its verdict rests on those. By default there is no such limit."""

    @model_validator(mode="after")
    def _within_reach(self) -> "PlanLimits":
        if self.trials is None and self.needed > MAX_TRIALS:
            raise ValueError(
                f"to rule out {self.rule_out:g} at {self.confidence:g} takes {self.needed:,} "
                f"trials, more than {MAX_TRIALS:,}"
            )
        return self

    @property
    def needed(self) -> int:
        """Trials that rule it out without a loss."""
        return trials_needed(self.rule_out, self.confidence)

    @property
    def planned(self) -> int:
        """Trials to run in each cell."""
        return self.trials or self.needed


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of the axes."""

    accel: Accel
    mode: TimerMode
    apic: Apic
    method: Method
    period_ns: int
    loads_per_save: int
    cycle: CycleKind = CycleKind.REPEAT
    host: str = ""
    """Its host's name, where it is not this machine."""
    irqchip: IrqChip = IrqChip.ON
    phase: Phase = RANDOM
    qemu: str = DEFAULT_QEMU
    machine: str = DEFAULT_MACHINE
    cpu: str = DEFAULT_CPU
    vcpus: int = 1
    memory_mib: int = DEFAULT_MEMORY_MIB

    @property
    def id(self) -> str:
        """A stable name: it depends on nothing but the values.

        It has the axes that every cell names, then whatever is not as by default, by
        name: an axis that is added later changes no name of today.
        """
        host = f"{self.host}/" if self.host else ""
        repeat = self.cycle is CycleKind.REPEAT
        cycle = f"{self.loads_per_save}loads" if repeat else self.cycle
        period_ms = f"{self.period_ns / 1e6:.10g}"
        others = "".join(
            f"/{field.name}={value}"
            for field in sorted(dataclasses.fields(self), key=lambda field: field.name)
            if field.default is not dataclasses.MISSING
            and field.name not in ("host", "cycle")
            and (value := getattr(self, field.name)) != field.default
        )
        return (
            f"{host}{self.accel}/{self.mode}/{self.apic}/{self.method}/{period_ms}ms/{cycle}"
            + others
        )

    def machine_config(
        self, *, control_tick: int = 0, control_periods: int = 6, subject: int = 0
    ) -> MachineConfig:
        """Return its virtual machine; the arguments are those of the built-in control."""
        guest = GuestConfig(
            mode=self.mode,
            apic=self.apic,
            period_ns=self.period_ns,
            control_tick=control_tick,
            control_periods=control_periods,
            vcpus=self.vcpus,
            subject=subject,
        )
        return MachineConfig(
            self.accel, guest, machine=self.machine, memory_mib=self.memory_mib,
            cpu_model=self.cpu, irqchip=self.irqchip,
        )  # fmt: skip


class Plan(_Strict):
    """What to run."""

    seed: int | None = Field(default=None, strict=True, ge=0)
    """Chooses phases and the order of cells; drawn if left out, and journalled in any case."""
    require: list[Requirement] = []
    """What the host must have for the run to be worth anything."""
    controls: int = Field(default=2, strict=True, ge=0, le=2)
    """Injected losses in each cell: 2 are one before its trials and one after, 1 is the one
    before. With 0 no cell can be `clean`."""
    axes: Axes = Axes()
    """What is varied: every combination is a cell."""
    exclude: list[Axes] = []
    """Cells to leave out of what the axes span: those that have one of the values of each
    axis that such a table names."""
    include: list[Axes] = []
    """Cells besides: what each such table spans. An axis that it does not name has its
    default there, not the value under `axes`."""
    limits: PlanLimits = PlanLimits()
    """When a cell has seen enough."""

    @property
    def qemus(self) -> list[str]:
        """The QEMU binaries that it names."""
        return list(dict.fromkeys(name for table in self._tables for name in table.qemu))

    @property
    def leaves_accel_open(self) -> bool:
        """Whether it depends on the host which accelerator is used."""
        return any(AccelChoice.AUTO in table.accel for table in self._tables)

    @property
    def _tables(self) -> list[Axes]:
        return [self.axes, *self.include]

    @field_validator("exclude")
    @classmethod
    def _names_something(cls, tables: list[Axes]) -> list[Axes]:
        if any(not table.model_fields_set for table in tables):
            raise ValueError("an empty table would leave out every cell")
        return tables

    @model_validator(mode="after")
    def _few_enough(self) -> "Plan":
        size = sum(table.size for table in self._tables)
        if size > MAX_CELLS:
            raise ValueError(f"its axes span {size:,} cells, more than {MAX_CELLS:,}")
        return self

    @field_serializer("exclude")
    def _as_given(self, tables: list[Axes]) -> list[dict[str, Any]]:
        # What a table does not name says nothing: it must not come back as its default.
        return [table.model_dump(mode="json", exclude_unset=True) for table in tables]

    def cells(self, auto: Accel) -> "list[Cell]":
        """Return the cells, with `auto` for the accelerator that works here.

        Raises:
            NoCellsError: all of them are excluded.
        """
        spanned = [
            cell
            for cell in self.axes.cells(auto)
            if not any(table.match(cell, auto) for table in self.exclude)
        ]
        cells = spanned + [cell for table in self.include for cell in table.cells(auto)]
        if not cells:
            raise NoCellsError("reading the plan: its `exclude` tables leave no cell")
        return list(dict.fromkeys(cells))
