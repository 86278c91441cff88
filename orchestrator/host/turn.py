"""A turn on this computer, which one process has at a time.

Campaigns of several processes would make each other's ticks late. As a seat on a CPU
(`cpu_seats`), a turn is a Unix socket with an abstract name, which the kernel frees when its
process ends.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from orchestrator.errors import TransientError
from orchestrator.host.cpu_seats import hold, holder, how_to_find

#: The turn of every user's processes: they share the CPUs. So any user can keep it from the
#: others, and a name for each user would let their campaigns disturb each other instead.
NAME = "losttick/turn"

#: Time between two tries to get the turn.
AGAIN_S = 0.1

#: Time between two looks at who has it. They take a moment of a CPU that the turn's owner uses.
LOOK_S = 1.0

#: Time after which whoever waits is told.
TELL_S = 10.0

#: Longest time that one process may have the turn while another waits. A campaign of a test takes
#: minutes. However many wait, each has its own time.
MOST_S = 3600.0


class NoTurnError(TransientError):
    """One process keeps the turn."""


@contextlib.asynccontextmanager
async def turn(
    name: str = NAME, say: Callable[[str], object] = lambda text: None, most_s: float = MOST_S
) -> AsyncIterator[None]:
    """Wait until no other process has the turn, and have it for as long as the context lasts.

    Args:
        name: stands for the turn.
        say: is told of a wait that is not short.
        most_s: longest time that one process may have the turn meanwhile.

    Raises:
        NoTurnError: one had it for longer.
    """
    loop = asyncio.get_running_loop()
    began = since = looked = loop.time()
    told, seen = False, None
    while (held := hold(name)) is None:
        now = loop.time()
        if now - looked > LOOK_S and (other := holder(name)):
            since = now if seen not in (None, other) else since
            looked, seen = now, other
        if now - since > most_s:
            raise NoTurnError(
                f"waiting for a turn: one process has had it for more than {most_s:g} s, and "
                "campaigns of two would make each other's ticks late. Nothing was run. "
                f"{how_to_find(name)}: let it end, or end it."
            )
        if not told and now - began > TELL_S:
            told = True
            say(
                f"waiting for a turn, as another process of this computer has it: "
                f"{how_to_find(name)}"
            )
        await asyncio.sleep(AGAIN_S)
    with held:
        yield
