"""A turn on this computer, which one process has at a time.

Campaigns of several processes would make each other's ticks late. As a seat on a CPU
(`cpu_seats`), a turn is a Unix socket with an abstract name, which the kernel frees when its
process ends.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from orchestrator.host.cpu_seats import hold

#: The turn of every user's processes: they share the CPUs.
NAME = "losttick/turn"

#: Time between two tries to get the turn.
AGAIN_S = 0.1


@contextlib.asynccontextmanager
async def turn(name: str = NAME) -> AsyncIterator[None]:
    """Wait until no other process has the turn, and have it for as long as the context lasts."""
    while (held := hold(name)) is None:  # noqa: ASYNC110  # no event: another process ends it
        await asyncio.sleep(AGAIN_S)
    with held:
        yield
