"""A whole run: plan, host, cells, verdicts. One direction; nothing later reaches back."""

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import orchestrator
from orchestrator.campaign.cell import CellCampaign, CellRunner
from orchestrator.campaign.family import CellBound, statement
from orchestrator.campaign.fit import fit
from orchestrator.campaign.progress import NO_PROGRESS, Progress
from orchestrator.campaign.records import Records
from orchestrator.campaign.sequential import StoppingRule
from orchestrator.campaign.statistics import Losses, LossRate, loss_rate
from orchestrator.campaign.verdict import Tally, Verdict, decide, overall
from orchestrator.errors import InfraError, UnfitError
from orchestrator.guest.firmware import TimerMode, firmware
from orchestrator.host.exposure import Exposure, ExposureState, exposure, refine
from orchestrator.host.facts import HostFacts
from orchestrator.host.protocol import Host
from orchestrator.plan.choices import Requirement
from orchestrator.plan.model import Cell, Plan
from orchestrator.results.journal import Journal, JournalError
from orchestrator.trial.outcome import Outcome
from orchestrator.vm.argv import DEFAULT_QEMU, Accel


class RequirementError(UnfitError):
    """The host lacks what the plan requires."""


#: Gives a cell's host for as long as the cell runs, and ends it if it was made for that.
OpenHost = Callable[[], contextlib.AbstractAsyncContextManager[Host]]


@dataclass(frozen=True, slots=True)
class Assignment:
    """A cell, and the host that it runs on."""

    cell: Cell
    open_host: OpenHost


@dataclass(frozen=True, slots=True)
class CellResult:
    """A cell and its verdict."""

    cell: Cell
    facts: HostFacts
    """Of the host that it ran on."""
    verdict: Verdict
    why: str
    exposure: Exposure
    campaign: CellCampaign
    rate: LossRate


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run and its verdict."""

    verdict: Verdict
    cells: list[CellResult]
    facts: HostFacts
    seed: int
    journal: Path
    statement: str = ""
    """At which error rate the verdicts of all cells hold."""

    @property
    def failed(self) -> bool:
        """Whether the harness failed in any cell."""
        return any(result.campaign.failure for result in self.cells)


async def run_plan(
    host: Host,
    facts: HostFacts,
    plan: Plan,
    auto: Accel,
    out: Path,
    progress: Progress = NO_PROGRESS,
    *,
    qemus: Callable[[str], OpenHost] | None = None,
) -> RunResult:
    """Run every cell of a plan and journal it.

    Args:
        host: where.
        facts: what the host is.
        plan: what.
        auto: the accelerator to use where the plan leaves it open.
        out: an existing, empty folder for the journal and the evidence.
        progress: hears of each step.
        qemus: gives the host of a cell by the QEMU that it names, for plans with several;
            by default only cells that name none can run, on `host`.

    Raises:
        RequirementError: the host lacks what the plan requires.
        NoCellsError: the plan has none.
        JournalError: nothing can be recorded.
    """
    cells = plan.cells(auto)
    require(plan, cells, facts)
    assignments = [
        Assignment(cell, qemus(cell.qemu) if qemus else _only(host, cell)) for cell in cells
    ]
    return await run_cells(assignments, facts, plan, out, progress)


def _only(host: Host, cell: Cell) -> OpenHost:
    """Return what gives the one host there is to a cell that names no other QEMU."""

    @contextlib.asynccontextmanager
    async def open_host() -> AsyncIterator[Host]:
        if cell.qemu != DEFAULT_QEMU:
            raise UnfitError(f"the plan names QEMU {cell.qemu}, and run_plan was given no `qemus`")
        yield host

    return open_host


async def run_cells(
    assignments: Sequence[Assignment],
    facts: HostFacts,
    plan: Plan,
    out: Path,
    progress: Progress = NO_PROGRESS,
    *,
    parallel: int = 1,
    judge: Callable[[list[CellResult]], Verdict] | None = None,
) -> RunResult:
    """Run cells, each on its host, and journal it all.

    Args:
        assignments: what runs where.
        facts: what this machine is.
        plan: the limits.
        out: an existing, empty folder for the journal and the evidence.
        progress: hears of each step.
        parallel: cells that run at a time.
        judge: makes the run's verdict of its cells; their gravest by default.

    Raises:
        JournalError: nothing can be recorded.
    """
    seed = plan.seed if plan.seed is not None else secrets.randbits(32)
    turns = asyncio.Semaphore(parallel)

    async def in_turn(assignment: Assignment) -> CellResult:
        async with turns:
            return await _run_assigned(
                assignment, facts, plan, seed, records, progress, cells=len(assignments)
            )

    with Journal(out / "journal.jsonl") as journal:
        journal.write(
            "run", losttick=orchestrator.__version__, seed=seed, firmware=firmware().sha256
        )
        journal.write("host", facts=facts)
        ids = [assignment.cell.id for assignment in assignments]
        journal.write("plan", plan=plan.model_dump(mode="json"), cells=ids)
        records = Records(out, journal)
        tasks = [asyncio.create_task(in_turn(assignment)) for assignment in assignments]
        try:
            results = await asyncio.gather(*tasks)
            verdict = judge(results) if judge else overall([r.verdict for r in results])
            holds = _holds(results, plan)
            journal.write(
                "verdict", verdict=verdict, cells={r.cell.id: r.verdict for r in results},
                statement=holds,
            )  # fmt: skip
        except BaseException as error:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # The reason may be that nothing can be written: then the first error counts.
            _note_end(journal, error)
            raise
    return RunResult(verdict, results, facts, seed, journal.path, holds)


def _holds(results: Sequence[CellResult], plan: Plan) -> str:
    """Say at which error rate the verdicts of all cells hold."""
    outcomes = [(result.verdict, result.campaign.outcomes) for result in results]
    bounds = [CellBound(v, of.total(), of[Outcome.UNKNOWN]) for v, of in outcomes]
    return statement(bounds, plan.limits.confidence)


async def _run_assigned(
    assignment: Assignment,
    facts: HostFacts,
    plan: Plan,
    seed: int,
    records: Records,
    progress: Progress,
    *,
    cells: int,
) -> CellResult:
    """Run a cell on its host; a host that fails is noted, not raised."""
    cell = assignment.cell
    try:
        async with assignment.open_host() as host:
            there = await host.facts()
            if there is not facts:
                records.journal.write("host", cell=cell.id, facts=there)
            return await _run_cell(host, there, plan, cell, seed, records, progress, cells=cells)
    except (UnfitError, InfraError) as error:
        if isinstance(error, JournalError):
            raise
        records.journal.write("failure", cell=cell.id, error=str(error))
        verdict = Verdict.SKIPPED if isinstance(error, UnfitError) else Verdict.INCONCLUSIVE
        campaign = CellCampaign()
        if verdict is Verdict.INCONCLUSIVE:
            campaign.failure = str(error)
        unknown = Exposure(ExposureState.UNKNOWN, "its host did not come up")
        return CellResult(
            cell, facts, verdict, str(error), unknown, campaign,
            loss_rate(Losses(0, 0), plan.limits.confidence),
        )  # fmt: skip


def _note_end(journal: Journal, error: BaseException) -> None:
    with contextlib.suppress(JournalError):
        journal.write("interrupted", by=type(error).__name__, error=str(error))


def require(plan: Plan, cells: Sequence[Cell], facts: HostFacts) -> None:
    """Check that the host has what a plan requires.

    Raises:
        RequirementError: it has not.
    """
    if Requirement.APICV not in plan.require:
        return
    for cell in cells:
        # Of the host, whatever the timer's mode.
        exposed = exposure(facts, cell.accel, TimerMode.ONE_SHOT, cell.irqchip)
        if exposed.state is not ExposureState.EXPOSED:
            raise RequirementError(
                f"APICv is required, and {cell.id} is {exposed.state}: {exposed.why}. "
                "Run it on an Intel host with kvm_intel's enable_apicv=Y, or without "
                "--require apicv."
            )


async def _run_cell(
    host: Host,
    facts: HostFacts,
    plan: Plan,
    cell: Cell,
    seed: int,
    records: Records,
    progress: Progress,
    *,
    cells: int,
) -> CellResult:
    exposed = exposure(facts, cell.accel, cell.mode, cell.irqchip)
    campaign = CellCampaign()
    limits = plan.limits
    try:
        assert facts.qemu is not None
        method = await fit(host, cell, facts.qemu)
    except UnfitError as error:
        rate = loss_rate(Losses(0, 0), limits.confidence)
        result = CellResult(cell, facts, Verdict.SKIPPED, str(error), exposed, campaign, rate)
    else:
        runner = CellRunner(
            host, cell, method,
            planned=limits.planned,
            seconds=limits.seconds,
            controls=plan.controls,
            rule=StoppingRule(limits.planned, error=(1 - limits.confidence) / cells),
            # By the cell's name, so that its phases do not depend on the other cells.
            rng=random.Random(f"{seed}/{cell.id}"),
            records=records,
            progress=progress,
        )  # fmt: skip
        campaign = await runner.run()
        exposed = refine(exposed, campaign.trace)
        result = _judge(cell, facts, campaign, exposed, plan, cells)
        if Requirement.APICV in plan.require and exposed.state is ExposureState.NOT_EXPOSED:
            why = f"APICv is required, and it is not in use: {exposed.why}"
            result = replace(result, verdict=Verdict.INCONCLUSIVE, why=why)
    records.journal.write(
        "cell", cell=cell.id, verdict=result.verdict, why=result.why, exposure=exposed,
        loss_rate=result.rate, outcomes=campaign.outcomes, diagnoses=campaign.causes,
        controls=campaign.controls,
    )  # fmt: skip
    return result


def _judge(
    cell: Cell,
    facts: HostFacts,
    campaign: CellCampaign,
    exposed: Exposure,
    plan: Plan,
    cells: int,
) -> CellResult:
    tally = Tally(
        outcomes=campaign.outcomes,
        causes=campaign.causes,
        bug_losses=campaign.bug_losses,
        attempts=campaign.attempts,
        unknown_attempts=campaign.unknown_attempts,
        controls_seen=sum(control.seen for control in campaign.controls),
        controls=len(campaign.controls),
        first_loads=campaign.by_save.first_loads,
        planned=plan.limits.planned,
        cells=cells,
    )
    losses = Losses(
        trials=tally.trials,
        lost=campaign.outcomes[Outcome.LOST],
        unresolved=campaign.outcomes[Outcome.UNKNOWN],
        by_save=campaign.by_save,
        planned=plan.limits.planned,
    )
    rate = loss_rate(losses, plan.limits.confidence)
    verdict, why = decide(tally, rate, plan.limits.rule_out, exposed)
    if campaign.out_of_time and verdict is Verdict.INCONCLUSIVE:
        why += f"; its time of {plan.limits.seconds:g} s was up"
    if campaign.failure and verdict in (Verdict.CLEAN, Verdict.INCONCLUSIVE):
        verdict, why = Verdict.INCONCLUSIVE, campaign.failure
    return CellResult(cell, facts, verdict, why, exposed, campaign, rate)
