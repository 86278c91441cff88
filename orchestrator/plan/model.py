"""The plan: axes and limits, checked."""

import itertools
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from orchestrator.campaign.statistics import trials_needed
from orchestrator.guest.firmware import MAX_PERIOD_NS, MIN_PERIOD_NS, Apic, TimerMode
from orchestrator.plan.choices import AccelChoice, Requirement
from orchestrator.snapshot import Method
from orchestrator.vm.argv import Accel

#: Loads of one save: they share its phase and LAPIC state, so they are not independent.
MAX_LOADS_PER_SAVE = 25

#: Trials of a cell: some days of them.
MAX_TRIALS = 10_000_000


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


T = TypeVar("T")
#: One value, or a list of them.
Axis = Annotated[list[T], BeforeValidator(_as_list), Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Axes(_Strict):
    """What is varied: each axis is one value or a list of them."""

    accel: Axis[AccelChoice] = [AccelChoice.AUTO]
    mode: Axis[TimerMode] = [TimerMode.ONE_SHOT]
    apic: Axis[Apic] = [Apic.XAPIC]
    method: Axis[Method] = [Method.HMP]
    period_ms: Axis[Annotated[float, Field(ge=MIN_PERIOD_NS / 1e6, le=MAX_PERIOD_NS / 1e6)]] = [20]
    loads_per_save: Axis[Annotated[int, Field(strict=True, ge=1, le=MAX_LOADS_PER_SAVE)]] = [
        MAX_LOADS_PER_SAVE
    ]


class PlanLimits(_Strict):
    """When a cell has seen enough."""

    rule_out: float = Field(default=0.01, gt=0, lt=1)
    """Loss rate that `clean` rules out."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    trials: int | None = Field(default=None, strict=True, ge=1, le=MAX_TRIALS)
    """Eligible trials a cell; by default what `rule_out` takes."""

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
    host: str = ""
    """Its host's name, where it is not this machine."""

    @property
    def id(self) -> str:
        """A stable name: it depends on nothing but the values."""
        host = f"{self.host}/" if self.host else ""
        return (
            f"{host}{self.accel}/{self.mode}/{self.apic}/{self.method}"
            f"/{self.period_ns / 1e6:g}ms/{self.loads_per_save}loads"
        )


class Plan(_Strict):
    """What to run."""

    seed: int | None = Field(default=None, strict=True, ge=0)
    """Chooses the phases; drawn if left out, and journalled in any case."""
    qemu: str | None = None
    require: list[Requirement] = []
    axes: Axes = Axes()
    limits: PlanLimits = PlanLimits()

    def cells(self, auto: Accel) -> list[Cell]:
        """Return the cells, with `auto` for the accelerator that works here."""
        a = self.axes
        spanned = itertools.product(
            a.accel, a.mode, a.apic, a.method, a.period_ms, a.loads_per_save
        )
        cells = (
            Cell(
                auto if accel is AccelChoice.AUTO else Accel(accel),
                mode, apic, method, round(period_ms * 1e6), loads,
            )
            for accel, mode, apic, method, period_ms, loads in spanned
        )  # fmt: skip
        return list(dict.fromkeys(cells))
