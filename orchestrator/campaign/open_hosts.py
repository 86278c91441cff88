"""Opens the host of a cell: with one QEMU, or with one that saves and another that loads."""

import contextlib
from collections.abc import AsyncIterator, Callable

from orchestrator.campaign.schedule import OpenHost
from orchestrator.host.pair import PairedHost
from orchestrator.host.protocol import Host
from orchestrator.plan.cell import SAME_QEMU, Cell


def opener(cell: Cell, qemus: Callable[[str], OpenHost]) -> OpenHost:
    """Return what opens the host of a cell.

    Args:
        cell: the cell.
        qemus: returns what opens the host with a named QEMU.
    """
    open_saver = qemus(cell.qemu)
    if cell.loader == SAME_QEMU:
        return open_saver

    @contextlib.asynccontextmanager
    async def open_pair() -> AsyncIterator[Host]:
        async with open_saver() as saver, qemus(cell.loader)() as loader:
            yield PairedHost(saver, loader)

    return open_pair
