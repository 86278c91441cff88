"""Who runs next: cells take turns, in an order that the seed draws.

A host changes over hours; cells that were run one after another would each have met
another host. So a cell gives its turn back after a block of trials, and whichever cell
is drawn next goes on.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator


class Turns:
    """Gives out turns, so many at a time."""

    def __init__(self, parallel: int, rng: random.Random) -> None:
        """Prepare.

        Args:
            parallel: turns that can be had at a time.
            rng: draws who is next.
        """
        self._free = parallel
        self._rng = rng
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._drawing: asyncio.Handle | None = None

    @property
    def wanted(self) -> bool:
        """Whether another one waits for a turn."""
        return bool(self._waiting)

    @contextlib.asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """Wait for a turn, and hold it.

        Args:
            name: whose; nobody else may wait under it.
        """
        loop = asyncio.get_running_loop()
        drawn: asyncio.Future[None] = loop.create_future()
        self._waiting[name] = drawn
        self._draw_soon()
        try:
            await drawn
        except BaseException:
            if self._waiting.pop(name, None) is None:  # it was drawn meanwhile
                self._give_back()
            raise
        try:
            yield
        finally:
            self._give_back()

    def _give_back(self) -> None:
        self._free += 1
        self._draw_soon()

    def _draw_soon(self) -> None:
        """Draw once all who are about to wait do so: else the first to come would win."""
        if self._drawing is None:
            self._drawing = asyncio.get_running_loop().call_later(0, self._draw)

    def _draw(self) -> None:
        self._drawing = None
        while self._free and self._waiting:
            # In the order of their names: that in which they came may depend on time.
            name = self._rng.choice(sorted(self._waiting))
            drawn = self._waiting.pop(name)
            if not drawn.done():
                self._free -= 1
                drawn.set_result(None)
