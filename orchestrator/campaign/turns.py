"""Who runs next: cells take turns, in an order that the seed draws.

A host changes over hours; cells that were run one after another would each have met
another host. So a cell gives its turn back after a block of trials, and whichever cell
is drawn next goes on.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Collection, Mapping


class Turns:
    """Gives out turns, to as many at a time as there are CPUs for."""

    def __init__(
        self,
        cpus_of: Mapping[str, int],
        parallel: int,
        rng: random.Random,
        first: Collection[str] = (),
    ) -> None:
        """Prepare.

        Args:
            cpus_of: who will take turns, and how many CPUs each keeps busy. Nobody is drawn
                while one of them neither waits nor holds a turn, so that the order does not
                depend on who is quicker.
            parallel: CPUs that can be busy at a time; who wants more has all of them.
            rng: draws who is next.
            first: who is drawn before the others.
        """
        self._first = first
        self._cpus_of = {name: min(cpus, parallel) for name, cpus in cpus_of.items()}
        self._absent = set(cpus_of)
        self._free = parallel
        self._rng = rng
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._next: str | None = None
        """Who has been drawn, and waits for enough CPUs."""

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
            if not self._withdraw(name):  # it was drawn meanwhile
                self._free += self._cpus_of[name]
            self._draw()
            raise
        try:
            yield
        finally:
            self._free += self._cpus_of[name]
            self._absent.add(name)
            self._draw()  # who has been drawn already may have waited for these

    def leave(self, name: str) -> None:
        """Take no more turns."""
        self._absent.discard(name)
        self._withdraw(name)
        self._draw()

    def _withdraw(self, name: str) -> bool:
        """Let one wait no more; return whether it did."""
        if self._next == name:
            self._next = None
        return self._waiting.pop(name, None) is not None

    def _draw(self) -> None:
        while self._next or (self._free and self._waiting and not self._absent):
            self._next = self._next or self._rng.choice(self._candidates())
            if self._cpus_of[self._next] > self._free:
                return
            self._free -= self._cpus_of[self._next]
            drawn, self._next = self._waiting.pop(self._next), None
            drawn.set_result(None)

    def _candidates(self) -> list[str]:
        # In the order of their names: that in which they came may depend on time.
        waiting = sorted(self._waiting)
        return [name for name in waiting if name in self._first] or waiting
