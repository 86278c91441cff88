"""Notes in the journal that an attempt takes longer than ticks that go on.

People end a run because its guest hangs, and a load may take the host down. A run that is killed
then has no record of that attempt, and without this note nobody would know that there was one. A
load whose ticks go on is not noted: there are a million of them in a long run.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from orchestrator.clock import Clock
from orchestrator.findings.save import Save
from orchestrator.journal.file import JournalError
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import OverdueRecord
from orchestrator.plan.cell import Cell
from orchestrator.trial.limits import Limits
from orchestrator.trial.resume import load_manner
from orchestrator.vm.instance import Instance

#: Time that a host may lose without a tick being overdue.
SLACK_NS = 20_000_000

#: Periods without a tick after which one is overdue. A silence takes longer to prove.
MOST_PERIODS = 3

#: Periods in which a guest that was loaded is usually saved again.
SAVE_PERIODS = 10


class Overdue:
    """Notes attempts of one cell that are overdue."""

    def __init__(self, clock: Clock, cell: Cell, limits: Limits, recorder: Recorder) -> None:
        """Prepare.

        Args:
            clock: of the cell's host.
            cell: the cell.
            limits: with the guest's period.
            recorder: writes the note.
        """
        self._clock = clock
        self._cell = cell
        self._limits = limits
        self._recorder = recorder

    def load(
        self, instance: Instance, save: Save, load_ns: int
    ) -> AbstractAsyncContextManager[None]:
        """Return a context for an attempt at a load.

        Args:
            instance: that loads.
            save: that is loaded.
            load_ns: how long a load usually takes, without its pauses.
        """
        manner = load_manner(self._cell, self._limits.period_ns)
        pauses_ns = manner.pause_before_load_ns + manner.pause_before_cont_ns
        return self._watched(instance, save, pauses_ns + 2 * load_ns)

    def next_save(self, instance: Instance, save: Save) -> AbstractAsyncContextManager[None]:
        """Return a context for saving a guest again after the loads of a save."""
        return self._watched(instance, save, SAVE_PERIODS * self._limits.period_ns)

    def note(self, save: Save) -> None:
        """Note an attempt that is not over yet, unless it has been noted."""
        if not self._recorder.state.cells[self._cell.id].overdue:
            self._recorder.write(OverdueRecord(self._cell.id, save.tag))

    @contextlib.asynccontextmanager
    async def _watched(self, instance: Instance, save: Save, before_ns: int) -> AsyncIterator[None]:
        watching = asyncio.create_task(self._watch(instance, save, before_ns))
        try:
            yield
        finally:
            watching.cancel()

    async def _watch(self, instance: Instance, save: Save, before_ns: int) -> None:
        """Note the attempt when no tick has come for too long.

        Args:
            instance: the instance.
            save: whose load it is.
            before_ns: time until the first tick can be due.
        """
        gap = 1 + max(part.hold for part in save.vcpus)
        limit_ns = int(MOST_PERIODS * gap * self._limits.period_ns) + SLACK_NS
        left_ns = before_ns + limit_ns
        while left_ns > 0:
            await self._clock.sleep(left_ns)
            last_ns = max((tick.at_ns for tick in instance.heard.values()), default=0)
            left_ns = last_ns + limit_ns - self._clock.now_ns()
        with contextlib.suppress(JournalError):  # the record of the attempt follows, or fails too
            self.note(save)
