"""Runs coroutines side by side, and ends all of them before it ends itself."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from orchestrator.journal.file import Journal
from orchestrator.journal.standing import all_done

#: How long cancelled work may clean up before `ending` is called, in seconds. A monitor that does
#: not answer, or a stopped process, must not keep the journal from its last record.
CLEAN_UP_S = 3.0


async def run_together(
    work: Iterable[Coroutine[Any, Any, None]],
    journal: Journal,
    ending: Callable[[BaseException], None],
) -> None:
    """Run coroutines side by side. If one fails, or this task is cancelled, cancel the others.

    Args:
        work: the coroutines.
        journal: which must stay where it is.
        ending: called with the error when the cancelled ones have ended, or after a while.

    Raises:
        BaseException: the first error.
    """
    tasks = [asyncio.create_task(each) for each in work]
    try:
        await all_done(tasks, journal)
    except BaseException as error:
        for task in tasks:
            task.cancel()
        try:
            await asyncio.wait(tasks, timeout=CLEAN_UP_S)
        finally:
            ending(error)
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
