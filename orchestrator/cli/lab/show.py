"""The lab's emulator, with a bar while it is built."""

from orchestrator.cli.live import Show
from orchestrator.lab.emulator.bochs import Bochs, bochs, debian_bochs
from orchestrator.lab.emulator.build import NoBuildToolsError
from orchestrator.process.background import in_thread


async def emulator(show: Show) -> Bochs:
    """Return the emulator: built, with a bar, or Debian's own where it can't be built.

    Raises:
        UnfitError: neither can be had.
    """
    with show.bar("building Bochs from Debian's source, once: about two minutes") as progress:
        try:
            return await bochs(progress)
        except NoBuildToolsError as error:
            show.say(f"{error} Debian's own Bochs is used instead, with realigned modules.")
            return await in_thread(debian_bochs)
