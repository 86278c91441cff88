"""Cells take turns, in an order that the seed draws.

A host changes over hours. If cells ran one after another, each would be tested on a
different state of the host. So a cell ends its turn after a block of trials, and the next
turn is drawn among the cells that wait.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Protocol

#: Trials after which a cell gives its turn to another cell that waits. They take some seconds,
#: far longer than the start of an instance.
TURN_TRIALS = 150


class TakesTurns(Protocol):
    """Gives turns to the cells of one run."""

    @property
    def block(self) -> int:
        """Trials after which a cell ends its turn, if another cell waits."""
        ...

    @property
    def wanted(self) -> bool:
        """True if a cell waits for a turn."""
        ...

    def turn(
        self, name: str, trials: int = 0
    ) -> contextlib.AbstractAsyncContextManager[None]:  # fmt: skip
        """Wait for a turn, and hold it for as long as the context lasts.

        Args:
            name: the cell.
            trials: how many it has by now.
        """
        ...

    def leave(self, name: str) -> None:
        """Take no more turns. The draw no longer waits for this cell."""
        ...


class Turns:
    """Gives turns to cells, to as many at a time as there are CPUs for."""

    def __init__(
        self,
        cpus_of: Mapping[str, int],
        parallel: int,
        rng: random.Random,
        first: Collection[str] = (),
        *,
        block: int = TURN_TRIALS,
        even: bool = False,
    ) -> None:
        """Prepare.

        Args:
            cpus_of: the cells that will take turns, each with the number of CPUs that it keeps
                busy. A turn is drawn only when every cell is either waiting or running, so
                the order depends on the seed and not on speed.
            parallel: CPUs that can be busy at a time. A cell that wants more gets all.
            rng: draws the next turn.
            first: cells that are drawn before all others.
            block: trials of a turn.
            even: whether a cell waits until every other one has as many blocks of trials.
        """
        self.block = block
        self._even = even
        self._first = first
        self._cpus_of = {name: min(cpus, parallel) for name, cpus in cpus_of.items()}
        self._absent = set(cpus_of)
        self._free = parallel
        self._rng = rng
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._blocks = dict.fromkeys(cpus_of, 0)
        """The blocks of trials that each cell has."""
        self._next: str | None = None
        """The cell that has been drawn and waits for enough CPUs."""

    @property
    def wanted(self) -> bool:
        """True if a cell waits for a turn."""
        return bool(self._waiting)

    @contextlib.asynccontextmanager
    async def turn(self, name: str, trials: int = 0) -> AsyncIterator[None]:
        """Wait for a turn, and hold it for as long as the context lasts."""
        drawn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[name] = drawn
        self._blocks[name] = trials // self.block
        self._absent.discard(name)
        self._draw()
        try:
            await drawn
        except BaseException:
            if not self._withdraw(name):  # its turn was drawn meanwhile
                self._free += self._cpus_of[name]
            self._draw()
            raise
        try:
            yield
        finally:
            self._free += self._cpus_of[name]
            self._absent.add(name)
            self._draw()  # the cell drawn before may have waited for these CPUs

    def leave(self, name: str) -> None:
        """Take no more turns. The draw no longer waits for this cell."""
        self._absent.discard(name)
        self._withdraw(name)
        self._draw()

    def _withdraw(self, name: str) -> bool:
        """Take a cell out of the queue; return whether it was waiting."""
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
        # Sorted by name, because the order of arrival may depend on timing.
        waiting = sorted(self._waiting)
        if self._even:
            fewest = min(self._blocks[name] for name in waiting)
            waiting = [name for name in waiting if self._blocks[name] == fewest]
        return [name for name in waiting if name in self._first] or waiting


class ArmTurns:
    """The turns of one arm's cells, among the cells of all arms."""

    def __init__(self, turns: Turns, arm: str) -> None:
        """Prepare.

        Args:
            turns: of all arms, made for names as `turn_name` returns them.
            arm: name of the arm.
        """
        self._turns, self._arm = turns, arm

    @property
    def block(self) -> int:
        """Trials after which a cell ends its turn, if another cell waits."""
        return self._turns.block

    @property
    def wanted(self) -> bool:
        """True if a cell of any arm waits for a turn."""
        return self._turns.wanted

    def turn(
        self, name: str, trials: int = 0
    ) -> contextlib.AbstractAsyncContextManager[None]:  # fmt: skip
        """Wait for a turn, and hold it for as long as the context lasts."""
        return self._turns.turn(turn_name(self._arm, name), trials)

    def leave(self, name: str) -> None:
        """Take no more turns. The draw no longer waits for this cell."""
        self._turns.leave(turn_name(self._arm, name))


def turn_name(arm: str, cell: str) -> str:
    """Return the name of a cell of an arm, among the cells of all arms."""
    return f"{arm} {cell}"
