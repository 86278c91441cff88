"""The images of the guests that a run boots, as its journal names them."""

import contextlib
from collections.abc import Iterable

from orchestrator.errors import UnfitError
from orchestrator.guest.registry import GUESTS
from orchestrator.plan.cell import Cell
from orchestrator.process.background import in_thread


async def guest_images(cells: Iterable[Cell]) -> dict[str, str]:
    """Return the SHA-256 of each guest's image, by its name. Kernels are fetched first.

    An image that can't be had here is left out: its cells will be skipped.

    Raises:
        InputError: a cell names a kernel that there is not.
    """
    programs = {cell.image_name: GUESTS[cell.guest].booting(cell.guest_kernel) for cell in cells}
    found = {}
    for name, program in sorted(programs.items()):
        with contextlib.suppress(UnfitError):
            await in_thread(program.prepare)
            found[name] = program.sha256
    return found
