"""Waits for the work of a run, and notices meanwhile if its journal is deleted or moved."""

import asyncio
from collections.abc import Iterable
from typing import Any

from orchestrator.journal.file import Journal

#: Time between two looks. Each record looks, too, but in a pause or a long boot there is none.
LOOK_S = 2.0


async def all_done(tasks: Iterable["asyncio.Task[Any]"], journal: Journal) -> None:
    """Wait until all tasks are done, or one fails. What still runs then is left running.

    Raises:
        LostJournalError: the journal was deleted or moved.
        BaseException: what a task raised.
    """
    waiting = set(tasks)
    while waiting:
        done, waiting = await asyncio.wait(
            waiting, timeout=LOOK_S, return_when=asyncio.FIRST_EXCEPTION
        )
        for task in done:
            task.result()
        journal.check()
