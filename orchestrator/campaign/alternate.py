"""Arms of a comparison that alternate on one host, each of them a run with its own journal.

A host drifts. If arm B ran after arm A, the drift would be taken for a difference of the arms.
So short blocks of loads of all arms are run in an order that the seed draws, and a cell waits until
every other cell has as many blocks of trials.
"""

import asyncio
import contextlib
import math
import random
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from orchestrator.campaign.turns import TURN_TRIALS, ArmTurns, TakesTurns, Turns, turn_name
from orchestrator.plan.cell import Cell

T = TypeVar("T")

#: Least number of blocks into which the trials of a cell are divided, as far as whole saves allow.
BLOCKS = 12


class Periods:
    """The timer periods that arms have in common, where the plan leaves them open.

    The first cell that comes measures; equal cells of the other arms take its period. Loads with
    different periods could differ for that reason alone.
    """

    def __init__(self, known: Mapping[str, int] | None = None) -> None:
        """Prepare.

        Args:
            known: periods in ns that were measured before, by `Cell.like`.
        """
        self._known = dict(known or {})
        self._measuring: dict[str, asyncio.Lock] = {}

    @contextlib.asynccontextmanager
    async def agreed(self, cell: Cell) -> AsyncIterator[int | None]:
        """Give the period that was agreed; with None, measure it in the block and `agree`."""
        async with self._measuring.setdefault(cell.like, asyncio.Lock()):
            yield self._known.get(cell.like)

    def agree(self, cell: Cell, period_ns: int) -> None:
        """Note the period of a cell, for the other arms."""
        self._known[cell.like] = period_ns


@dataclass(frozen=True, slots=True)
class Shared:
    """The objects that an arm has in common with the other arms."""

    turns: TakesTurns
    periods: Periods


def alternating(
    arms: Mapping[str, Sequence[Cell]],
    *,
    trials: int,
    seed: int,
    parallel: int = 1,
    periods: Mapping[str, int] | None = None,
) -> dict[str, Shared]:
    """Return what each arm needs to alternate with the others.

    Args:
        arms: the cells of each arm that is going to run, by a name of the arm.
        trials: planned trials of each cell.
        seed: draws the order.
        parallel: vCPUs that run at a time. With 1, nothing else of the comparison disturbs a load.
        periods: timer periods that are known from before, by `Cell.like`.
    """
    turns = Turns(
        {turn_name(arm, cell.id): cell.vcpus for arm, cells in arms.items() for cell in cells},
        parallel,
        random.Random(f"{seed}/arms"),
        block=min(TURN_TRIALS, math.ceil(trials / BLOCKS)),
        even=True,
    )
    agreed = Periods(periods)
    return {arm: Shared(ArmTurns(turns, arm), agreed) for arm in arms}


async def run_arms(arms: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run arms at the same time, and return their results. If one fails, all end.

    Raises:
        BaseException: the first error of an arm.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(arm) for arm in arms]
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    return [task.result() for task in tasks]
