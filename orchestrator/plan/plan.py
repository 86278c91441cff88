"""A plan: axes, goals and the cells that follow, all checked."""

from typing import Annotated, Any

from pydantic import (
    Field,
    field_serializer,
    field_validator,
    model_validator,
)

from orchestrator.errors import InputError, Lack
from orchestrator.plan.axes import Axes
from orchestrator.plan.cell import Cell, differing
from orchestrator.plan.choices import AccelChoice, Requirement
from orchestrator.plan.goals import Goals
from orchestrator.plan.qemu_args import QemuArgs
from orchestrator.plan.strict import WHOLE, Strict
from orchestrator.vm.config import Accel

#: Largest seed.
MAX_SEED = 2**64 - 1

#: Most cells of a plan: each takes at least some seconds.
MAX_CELLS = 10_000


class NoCellsError(InputError):
    """The plan's `exclude` tables leave no cell."""


class SameIdError(InputError):
    """Two cells of the plan would have the same id."""

    def __init__(self, one: Cell, other: Cell) -> None:
        """Name the settings in which the cells differ."""
        named = [
            ", ".join(f"{name} {_said(getattr(cell, name))}" for name in differing(one, other))
            for cell in (one, other)
        ]
        super().__init__(
            f"reading the plan: two cells would both be called {one.id}: one with {named[0]}, "
            f"the other with {named[1]}. Leave one of them out, or rename a file that they name."
        )


def _said(value: object) -> str:
    return value.text if isinstance(value, QemuArgs) else str(value)


class Plan(Strict):
    """A plan, as its file or the command line gives it."""

    seed: Annotated[int, Field(strict=True, ge=0, le=MAX_SEED), WHOLE] | None = None
    """Seed of the phases and of the order of cells. Drawn if left out; always journalled."""
    require: list[Requirement] = []
    """Properties that the host must have, or the run is refused."""
    accept_skips: list[Lack] = []
    """Axes whose values may be missing here: cells that are skipped for one of them are named,
    and the run ends as if they were not in the plan. An axis that is given on the command line
    is not among them."""
    controls: Annotated[int, Field(strict=True, ge=0, le=2), WHOLE] = 2
    """Injected losses in each cell: 2 for one before and one after its trials, 1 for one
    before. With 0 no cell can be `clean`."""
    axes: Axes = Axes()
    """The settings to vary. Every combination is a cell."""
    exclude: list[Axes] = []
    """Combinations of `axes` to leave out. A table matches a cell that has, on each axis that
    the table names, one of the table's values."""
    include: list[Axes] = []
    """Further cells: every combination of each table. An axis that the table does not name
    has its default value, not the value under `axes`."""
    limits: Goals = Goals()
    """When a cell has run enough trials."""

    @property
    def qemus(self) -> list[str]:
        """The QEMU binaries that the plan names, each once."""
        return list(dict.fromkeys(name for table in self._tables for name in table.qemu))

    @property
    def leaves_accel_open(self) -> bool:
        """True if a cell has the accelerator `auto`."""
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
        # An axis that a table does not name matches every cell, so its default is left out.
        return [table.model_dump(mode="json", exclude_unset=True) for table in tables]

    def cells(self, auto: Accel) -> "list[Cell]":
        """Return the cells, each once.

        Args:
            auto: the accelerator to use for `auto`.

        Raises:
            NoCellsError: the `exclude` tables leave no cell.
            SameIdError: the ids of two cells would be the same.
        """
        spanned = [
            cell
            for cell in self.axes.cells(auto)
            if not any(table.match(cell, auto) for table in self.exclude)
        ]
        cells = spanned + [cell for table in self.include for cell in table.cells(auto)]
        if not cells:
            raise NoCellsError("reading the plan: its `exclude` tables leave no cell")
        by_id: dict[str, Cell] = {}
        for cell in cells:
            if (known := by_id.setdefault(cell.id, cell)) != cell:
                raise SameIdError(known, cell)
        return list(by_id.values())
