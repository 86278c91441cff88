"""Runs each cell of a run on its host, in its turn, until its verdict."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.campaign.alternate import Periods
from orchestrator.campaign.cell import CellRunner
from orchestrator.campaign.cell_fit import check_cell_fits
from orchestrator.campaign.events import Progress
from orchestrator.campaign.pauses import Patience, Pauses
from orchestrator.campaign.period import measure_period
from orchestrator.campaign.resume import counted_elsewhere
from orchestrator.campaign.trouble import INSTANCE_TROUBLE, check_host
from orchestrator.campaign.turns import TakesTurns
from orchestrator.campaign.witness import Ask, ask_witness, wants_witness
from orchestrator.errors import InfraError, UnfitError
from orchestrator.findings.lab import LabIdentity
from orchestrator.findings.period import PeriodTried, in_words
from orchestrator.host.pair import loading_qemu
from orchestrator.host.protocol import Host
from orchestrator.journal.file import JournalError
from orchestrator.journal.plain import plain
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import (
    CellRecord,
    HostRecord,
    LabRecord,
    PeriodRecord,
    RestartRecord,
    SkipRecord,
)
from orchestrator.plan.cell import Cell
from orchestrator.plan.plan import Plan
from orchestrator.snapshot.protocol import Snapshots
from orchestrator.stats.stopping import StoppingRule
from orchestrator.verdict.run import CellResult, judge_cell

#: Opens the host of a cell for as long as the cell runs.
OpenHost = Callable[[], contextlib.AbstractAsyncContextManager[Host]]


class Lab(Protocol):
    """A lab that boots the host of a cell."""

    def identity(self) -> LabIdentity:
        """Return the identity of the host, as far as it is known by now."""
        ...


@dataclass(frozen=True, slots=True)
class Assignment:
    """A cell and its host."""

    cell: Cell
    open_host: OpenHost
    long: bool = False
    """True if the cell takes longer than others, and should begin before them."""
    lab: Lab | None = None
    """The lab that boots the host. It is asked for its identity as the run begins, once the host
    is up, and when the host has ended; all answers are journalled."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The objects that all cells of a run share."""

    plan: Plan
    recorder: Recorder
    progress: Progress
    turns: TakesTurns
    interleave: bool
    """True if cells take turns, some trials at a time."""
    patience: Patience = field(default_factory=Patience)
    ask: Ask | None = None
    """Runs the direct test on the host of a cell; None if it can't be run there."""
    periods: Periods = field(default_factory=Periods)
    """The timer periods on which this run agrees with the other arms of a comparison."""

    async def run(self, assignment: Assignment) -> None:
        """Run a cell on its host, unless it has its verdict."""
        cell = assignment.cell
        try:
            if self.recorder.state.cells[cell.id].ended:
                self._announce(self._result(cell))
                return
            if self.interleave:
                await self._on_its_host(assignment)
            else:
                async with self.turns.turn(cell.id):
                    await self._on_its_host(assignment)
        finally:
            self.turns.leave(cell.id)
        result = self._result(cell)
        counts = result.counts
        self.recorder.write(
            CellRecord(
                cell.id, result.verdict, result.why, plain(result.exposure), plain(result.rate),
                plain(counts.outcomes), plain(counts.causes), tuple(plain(counts.controls)),
            )
        )  # fmt: skip
        self._announce(result)

    def _result(self, cell: Cell) -> CellResult:
        state = self.recorder.state
        return judge_cell(state.cells[cell.id], state)

    def _announce(self, result: CellResult) -> None:
        self.progress.cell_ends(result.cell, result.verdict, result.why)

    async def _on_its_host(self, assignment: Assignment) -> None:
        """Run a cell on its host. The failure of a host is journalled, not raised."""
        cell = assignment.cell
        try:
            async with self._identified(assignment), assignment.open_host() as host:
                self._note_host(cell, host)
                self._note_lab(assignment)
                try:
                    await self._campaign(host, cell)
                except INSTANCE_TROUBLE as error:
                    check_host(host, error)
                    raise
        except JournalError:
            raise
        except UnfitError as error:
            self.recorder.write(SkipRecord(cell.id, str(error), error.lacks))
        except InfraError as error:
            self.recorder.failure(cell, error, ends_cell=True)

    @contextlib.asynccontextmanager
    async def _identified(self, assignment: Assignment) -> AsyncIterator[None]:
        """Journal the lab's identity once the host has ended, or has failed to boot."""
        try:
            yield
        finally:
            self._note_lab(assignment)

    def _note_lab(self, assignment: Assignment) -> None:
        if assignment.lab:
            self.recorder.write(LabRecord(assignment.cell.id, assignment.lab.identity()))

    def _note_host(self, cell: Cell, host: Host) -> None:
        """Journal the host on which a cell is counted. Its counts from another host are dropped."""
        facts, state = host.facts, self.recorder.state
        loader = loading_qemu(host)
        if counted_elsewhere(
            state.cells[cell.id], facts, state.guests.get(cell.image_name, ""), loader
        ):
            self.recorder.write(RestartRecord(cell.id, "its host changed"))
        own = facts != state.facts
        self.recorder.write(HostRecord(facts if own else None, cell.id, host.deadlines, loader))

    async def _period_ns(self, host: Host, cell: Cell, snapshots: Snapshots) -> int:
        """Return the timer period of a cell. One that is not known yet is measured and journalled.

        A resumed run keeps the period of its journal: all trials of a cell have one period.
        """
        period_ns = self.recorder.state.cells[cell.id].period_ns
        if period_ns is not None:
            return period_ns
        async with self.periods.agreed(cell) as period_ns:
            tried: tuple[PeriodTried, ...] = ()
            if period_ns is None:
                pauses = Pauses(host, cell, self.recorder, self.progress, self.patience)
                await pauses.pause_if_busy()  # else a longer period would be chosen
                period_ns, tried = await measure_period(host, cell, snapshots)
                self.periods.agree(cell, period_ns)
        self.recorder.write(PeriodRecord(cell.id, period_ns, tried))
        self.progress.noted(f"{cell.id}: {in_words(period_ns, tried)}")
        return period_ns

    async def _campaign(self, host: Host, cell: Cell) -> None:
        """Run the campaign of a cell, if the host supports everything that the cell needs."""
        limits, state = self.plan.limits, self.recorder.state
        turn = self.turns.turn(cell.id) if self.interleave else contextlib.nullcontext()
        async with turn:
            method = await check_cell_fits(host, cell, host.facts.need_qemu())
            period_ns = await self._period_ns(host, cell, method)
        runner = CellRunner(
            host, cell, method,
            period_ns=period_ns,
            planned=limits.planned,
            seconds=limits.seconds,
            controls=self.plan.controls,
            rule=StoppingRule(
                limits.planned, stop_after=limits.stop_after,
                error=(1 - limits.confidence) / len(state.cells), vcpus=cell.vcpus,
            ),
            turns=self.turns if self.interleave else None,
            patience=self.patience,
            recorder=self.recorder,
            progress=self.progress,
        )  # fmt: skip
        await runner.run()
        if wants_witness(state.cells[cell.id], host.facts):
            self.progress.noted(f"{cell.id}: asking the direct test about KVM_SET_LAPIC")
            self.recorder.write(await ask_witness(host, cell.id, self.ask))
