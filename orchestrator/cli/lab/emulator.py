"""The lab's emulator, with a bar while it is built."""

from orchestrator.cli.live import Show
from orchestrator.lab.emulator.bochs import Bochs, bochs


async def emulator(show: Show) -> Bochs:
    """Return the emulator; see `bochs`."""
    with show.bar("building Bochs from Debian's source, once: about two minutes") as progress:
        return await bochs(progress)
