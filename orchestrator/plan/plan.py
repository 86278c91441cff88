"""The plan: axes, cells and limits, checked."""

from typing import Any

from pydantic import (
    Field,
    field_serializer,
    field_validator,
    model_validator,
)

from orchestrator.errors import InputError
from orchestrator.plan.axes import Axes
from orchestrator.plan.cell import Cell
from orchestrator.plan.choices import AccelChoice, Requirement
from orchestrator.plan.goals import PlanLimits
from orchestrator.plan.strict import Strict
from orchestrator.vm.config import Accel

#: Cells of a plan: each takes seconds at least.
MAX_CELLS = 10_000


class NoCellsError(InputError):
    """The plan's exclusions leave nothing."""


class Plan(Strict):
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
