"""Who runs next: cells take turns, in an order that the seed draws.

A host changes over hours; cells that were run one after another would each have met
another host. So a cell gives its turn back after a block of trials, and whichever cell
is drawn next goes on.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterable


class Turns:
    """Gives out turns, so many at a time."""

    def __init__(self, names: Iterable[str], parallel: int, rng: random.Random) -> None:
        """Prepare.

        Args:
            names: who will take turns. Nobody is drawn while one of them neither waits nor
                holds a turn, so that the order does not depend on who is quicker.
            parallel: turns that can be had at a time.
            rng: draws who is next.
        """
        self._absent = set(names)
        self._free = parallel
        self._rng = rng
        self._waiting: dict[str, asyncio.Future[None]] = {}

    @property
    def wanted(self) -> bool:
        """Whether another one waits for a turn."""
        return bool(self._waiting)

    @contextlib.asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """Wait for a turn, and hold it."""
        drawn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[name] = drawn
        self._absent.discard(name)
        self._draw()
        try:
            await drawn
        except BaseException:
            if self._waiting.pop(name, None) is None:  # it was drawn meanwhile
                self._free += 1
            self._draw()
            raise
        try:
            yield
        finally:
            self._free += 1
            self._absent.add(name)

    def leave(self, name: str) -> None:
        """Take no more turns."""
        self._absent.discard(name)
        self._waiting.pop(name, None)
        self._draw()

    def _draw(self) -> None:
        while self._free and self._waiting and not self._absent:
            # In the order of their names: that in which they came may depend on time.
            drawn = self._waiting.pop(self._rng.choice(sorted(self._waiting)))
            if not drawn.done():
                self._free -= 1
                drawn.set_result(None)
