"""A preview of a run: starts the instance of each cell on this host, without a trial."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

from orchestrator.campaign.cell_fit import check_cell_fits
from orchestrator.campaign.schedule import OpenHost
from orchestrator.errors import InfraError, UnfitError
from orchestrator.plan.cell import Cell
from orchestrator.plan.phase import EXPIRED, RANDOM
from orchestrator.snapshot.method import CycleKind


@dataclass(frozen=True, slots=True)
class Preview:
    """A cell, and whether it would run."""

    cell: Cell
    why_not: str | None
    """Why it would not; None if it would."""
    fails: bool = False
    """Whether the harness or its QEMU would fail at it: not a skip, but an error."""


async def preview(
    cells: Sequence[Cell], qemus: Callable[[str], OpenHost]
) -> AsyncIterator[Preview]:
    """Try what cells ask for, in their order; what two of them share is tried once.

    Args:
        cells: a plan's.
        qemus: gives a cell's host by the QEMU that it names.
    """
    known: dict[Cell, Preview] = {}
    for cell in cells:
        same = _tried_as(cell)
        if same not in known:
            known[same] = await _try(cell, qemus(cell.qemu))
        yield replace(known[same], cell=cell)


def _tried_as(cell: Cell) -> Cell:
    """Return a cell that stands for all whose instance and method are the same."""
    phase = EXPIRED if cell.phase.expired else RANDOM
    return replace(cell, period_ns=0, loads_per_save=1, cycle=CycleKind.REPEAT, phase=phase)


async def _try(cell: Cell, open_host: OpenHost) -> Preview:
    try:
        async with open_host() as host:
            await check_cell_fits(host, cell, host.facts.need_qemu())
    except UnfitError as error:
        return Preview(cell, str(error))
    except InfraError as error:
        return Preview(cell, str(error), fails=True)
    return Preview(cell, None)
