"""A preview of a run: starts the instance of each cell on this host, without a trial."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

from orchestrator.campaign.cell_fit import check_cell_fits
from orchestrator.campaign.open_hosts import opener
from orchestrator.campaign.period import measure_period
from orchestrator.campaign.schedule import OpenHost
from orchestrator.errors import InfraError, Lack, UnfitError
from orchestrator.plan.cell import Cell
from orchestrator.plan.phase import EXPIRED, RANDOM
from orchestrator.snapshot.method import CycleKind


@dataclass(frozen=True, slots=True)
class Preview:
    """A cell, and whether it can run."""

    cell: Cell
    why_not: str | None
    """Why the cell can't run here; None if it can."""
    period_ns: int | None = None
    """The timer period that was measured; None if the plan names one or the cell can't run."""
    fails: bool = False
    """True if the harness or QEMU fails at the cell: an error, not a skip."""
    lacks: Lack | None = None
    """The axis whose value can't be had here, if the cell would be skipped for one."""
    transient: bool = False
    """True if the cell fails because the host has no time or no room now."""


async def preview(
    cells: Sequence[Cell], qemus: Callable[[str], OpenHost]
) -> AsyncIterator[Preview]:
    """Try the instance of each cell, in order. Cells with the same instance share one try.

    Args:
        cells: the cells of a plan.
        qemus: opens a cell's host by the name of the cell's QEMU.
    """
    known: dict[Cell, Preview] = {}
    for cell in cells:
        same = _tried_as(cell)
        if same not in known:
            known[same] = await _try(cell, opener(cell, qemus))
        yield replace(known[same], cell=cell)


def _tried_as(cell: Cell) -> Cell:
    """Return the cell that stands for all cells with the same instance and method."""
    phase = EXPIRED if cell.phase.expired else RANDOM
    period_ns = None if cell.period_ns is None else 0
    return replace(cell, period_ns=period_ns, loads_per_save=1, cycle=CycleKind.REPEAT, phase=phase)


async def _try(cell: Cell, open_host: OpenHost) -> Preview:
    try:
        async with open_host() as host:
            method = await check_cell_fits(host, cell, host.facts.need_qemu())
            if cell.period_ns is None:
                period_ns, _ = await measure_period(host, cell, method)
                return Preview(cell, None, period_ns)
    except UnfitError as error:
        return Preview(cell, str(error), lacks=error.lacks)
    except InfraError as error:
        return Preview(cell, str(error), fails=True, transient=error.transient)
    return Preview(cell, None)
