"""A whole run: plan, host, cells, verdicts. One direction; nothing later reaches back."""

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.bugs.catalogue import APICV_BUG
from orchestrator.bugs.exposure import Exposure, ExposureState, exposure, refine
from orchestrator.campaign.cell import CellRunner
from orchestrator.campaign.events import NO_PROGRESS, Progress
from orchestrator.campaign.fit import fit
from orchestrator.campaign.resume import JOURNAL, Resumed
from orchestrator.campaign.turns import Turns
from orchestrator.errors import InfraError, UnfitError
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.config import DEFAULT_GUEST
from orchestrator.guest.registry import GUESTS
from orchestrator.host.facts import HostFacts
from orchestrator.host.protocol import Host
from orchestrator.host.qemu_binary import DEFAULT_QEMU
from orchestrator.journal.count import CellCampaign
from orchestrator.journal.evidence_folder import Records
from orchestrator.journal.file import Journal, JournalError
from orchestrator.plan.cell import Cell
from orchestrator.plan.choices import Requirement
from orchestrator.plan.plan import Plan
from orchestrator.stats.rate import Losses, LossRate, loss_rate
from orchestrator.stats.stopping import StoppingRule
from orchestrator.verdict.cell import Tally, decide
from orchestrator.verdict.family import CellBound, statement
from orchestrator.verdict.verdict import Verdict, overall
from orchestrator.version import __version__
from orchestrator.vm.config import Accel


class RequirementError(UnfitError):
    """The host lacks what the plan requires."""


#: Gives a cell's host for as long as the cell runs, and ends it if it was made for that.
OpenHost = Callable[[], contextlib.AbstractAsyncContextManager[Host]]


@dataclass(frozen=True, slots=True)
class Assignment:
    """A cell, and the host that it runs on."""

    cell: Cell
    open_host: OpenHost
    long: bool = False
    """Whether it will take longer than others, and should begin before them."""


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
    changed: tuple[str, ...] = ()
    """Facts of the host that were others when the run ran last, if it was resumed."""

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
    parallel: int = 1,
    resumed: Resumed | None = None,
) -> RunResult:
    """Run every cell of a plan and journal it.

    Cells take turns in an order that the seed draws, some trials at a time.

    Args:
        host: where.
        facts: what the host is.
        plan: what.
        auto: the accelerator to use where the plan leaves it open.
        out: an existing, empty folder for the journal and the evidence.
        progress: hears of each step.
        qemus: gives the host of a cell by the QEMU that it names, for plans with several;
            by default only cells that name none can run, on `host`.
        parallel: vCPUs that run at a time.
        resumed: what `out` holds of this plan's run, to go on with it.

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
    return await run_cells(
        assignments, facts, plan, out, progress, parallel=parallel, interleave=True, auto=auto,
        resumed=resumed,
    )  # fmt: skip


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
    interleave: bool = False,
    auto: Accel = Accel.KVM,
    judge: Callable[[list[CellResult]], Verdict] | None = None,
    resumed: Resumed | None = None,
) -> RunResult:
    """Run cells, each on its host, and journal it all.

    Args:
        assignments: what runs where.
        facts: what this machine is.
        plan: the limits.
        out: a folder for the journal and the evidence: empty, or that of the run resumed.
        progress: hears of each step.
        parallel: cells that run at a time; where they are interleaved, vCPUs.
        interleave: whether cells take turns, some trials at a time, on hosts that are always
            there; else each has its host from its beginning to its end.
        auto: what stands for the accelerator `auto`, for a later resume.
        judge: makes the run's verdict of its cells'; their gravest by default.
        resumed: what `out` holds of this run.

    Raises:
        JournalError: nothing can be recorded.
    """
    drawn = plan.seed if plan.seed is not None else secrets.randbits(32)
    seed = resumed.seed if resumed else drawn
    ids = [assignment.cell.id for assignment in assignments]
    cpus_of = {a.cell.id: a.cell.vcpus if interleave else 1 for a in assignments}
    turns = Turns(
        cpus_of, parallel, random.Random(f"{seed}/turns"),
        first=[a.cell.id for a in assignments if a.long],
    )  # fmt: skip
    with Journal(out / JOURNAL, resume=resumed is not None) as journal:
        changed = _begin(journal, facts, plan, ids, seed, auto, resumed, progress)
        records = Records(out, journal, *((resumed.instances, resumed.hangs) if resumed else ()))
        run = _Run(plan, seed, facts, records, progress, turns, len(ids), interleave, resumed)
        progress.run_begins([assignment.cell for assignment in assignments], plan.limits.planned)
        tasks = [asyncio.create_task(run.assigned(assignment)) for assignment in assignments]
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
                if not task.cancelling():  # a second time would cut short its cleaning up
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # The reason may be that nothing can be written: then the first error counts.
            _note_end(journal, error)
            raise
    return RunResult(verdict, results, facts, seed, journal.path, holds, tuple(changed))


def _begin(
    journal: Journal,
    facts: HostFacts,
    plan: Plan,
    ids: Sequence[str],
    seed: int,
    auto: Accel,
    resumed: Resumed | None,
    progress: Progress,
) -> Mapping[str, object]:
    """Write what a run begins with; return which facts differ from those it began with."""
    version = __version__
    if resumed is None:
        journal.write("run", losttick=version, seed=seed, firmware=GUESTS[DEFAULT_GUEST].sha256)
        journal.write("host", facts=facts)
        journal.write("plan", plan=plan.model_dump(mode="json"), auto=auto, cells=ids)
        return {}
    changed = resumed.changed(facts, GUESTS[DEFAULT_GUEST].sha256)
    journal.write("resumed", losttick=version, firmware=GUESTS[DEFAULT_GUEST].sha256, facts=facts,
                  changed=changed)  # fmt: skip
    if changed:
        progress.noted(
            f"This is not the host on which the run ran last: its {', '.join(changed)} changed. "
            "Cells that have their verdict keep it; the others begin anew."
        )
    return changed


@dataclass(frozen=True, slots=True)
class _Run:
    """What the cells of a run share."""

    plan: Plan
    seed: int
    facts: HostFacts
    records: Records
    progress: Progress
    turns: Turns
    cells: int
    interleave: bool
    resumed: Resumed | None

    async def assigned(self, assignment: Assignment) -> CellResult:
        """Run a cell on its host, unless it has its verdict."""
        cell = assignment.cell
        try:
            if result := self._from_before(cell):
                return result
            if self.interleave:
                result = await self._on_its_host(assignment)
            else:
                async with self.turns.turn(cell.id):
                    result = await self._on_its_host(assignment)
        finally:
            self.turns.leave(cell.id)
        campaign = result.campaign
        self.records.journal.write(
            "cell", cell=cell.id, verdict=result.verdict, why=result.why,
            exposure=result.exposure, loss_rate=result.rate, outcomes=campaign.outcomes,
            diagnoses=campaign.causes, controls=campaign.controls,
        )  # fmt: skip
        self.progress.cell_ends(cell, result.verdict, result.why)
        return result

    def _from_before(self, cell: Cell) -> CellResult | None:
        """Return the result that a cell had when the run was cut short."""
        ended = self.resumed.ended.get(cell.id) if self.resumed else None
        if self.resumed is None or ended is None:
            return None
        self.progress.cell_ends(cell, ended.verdict, ended.why)
        campaign = self.resumed.campaigns.get(cell.id, CellCampaign())
        return CellResult(
            cell, self.facts, ended.verdict, ended.why, ended.exposure, campaign, ended.rate
        )

    def _so_far(self, cell: Cell, facts: HostFacts) -> CellCampaign | None:
        """Return what a cell had counted when the run was cut short, on this host."""
        so_far = self.resumed.campaigns.get(cell.id) if self.resumed else None
        if so_far is None or self.resumed is None:
            return None
        if not self.resumed.changed(facts, GUESTS[DEFAULT_GUEST].sha256, cell.id):
            return so_far
        self.records.journal.write("restart", cell=cell.id, why="its host changed")
        return None

    async def _on_its_host(self, assignment: Assignment) -> CellResult:
        """Run a cell on its host; a host that fails is noted, not raised."""
        cell = assignment.cell
        try:
            async with assignment.open_host() as host:
                there = await host.facts()
                if there is not self.facts:
                    self.records.journal.write("host", cell=cell.id, facts=there)
                return await self._run(host, there, cell)
        except (UnfitError, InfraError) as error:
            if isinstance(error, JournalError):
                raise
            self.records.journal.write("failure", cell=cell.id, error=str(error))
            verdict = Verdict.SKIPPED if isinstance(error, UnfitError) else Verdict.INCONCLUSIVE
            campaign = CellCampaign()
            if verdict is Verdict.INCONCLUSIVE:
                campaign.failure = str(error)
            unknown = Exposure(ExposureState.UNKNOWN, "its host did not come up")
            return self._without_trials(cell, self.facts, verdict, str(error), unknown, campaign)

    def _without_trials(
        self,
        cell: Cell,
        facts: HostFacts,
        verdict: Verdict,
        why: str,
        exposed: Exposure,
        campaign: CellCampaign,
    ) -> CellResult:
        rate = loss_rate(Losses(0, 0), self.plan.limits.confidence)
        return CellResult(cell, facts, verdict, why, exposed, campaign, rate)

    async def _run(self, host: Host, facts: HostFacts, cell: Cell) -> CellResult:
        plan, limits = self.plan, self.plan.limits
        exposed = exposure(facts, cell.accel, cell.mode, cell.irqchip)
        turn = self.turns.turn(cell.id) if self.interleave else contextlib.nullcontext()
        try:
            assert facts.qemu is not None
            async with turn:
                method = await fit(host, cell, facts.qemu)
        except UnfitError as error:
            return self._without_trials(
                cell, facts, Verdict.SKIPPED, str(error), exposed, CellCampaign()
            )
        so_far = self._so_far(cell, facts)
        runner = CellRunner(
            host, cell, method,
            planned=limits.planned,
            seconds=limits.seconds,
            controls=plan.controls,
            rule=StoppingRule(
                limits.planned, stop_after=limits.stop_after,
                error=(1 - limits.confidence) / self.cells, vcpus=cell.vcpus,
            ),
            turns=self.turns if self.interleave else None,
            # By the cell's name, so that its phases do not depend on the other cells.
            rng=random.Random(f"{self.seed}/{cell.id}/{so_far.saves if so_far else 0}"),
            so_far=so_far,
            records=self.records,
            progress=self.progress,
        )  # fmt: skip
        campaign = await runner.run()
        exposed = refine(exposed, campaign.trace)
        result = _judge(cell, facts, campaign, exposed, plan, self.cells)
        if Requirement.APICV in plan.require and exposed.state is ExposureState.NOT_EXPOSED:
            why = f"APICv is required, and it is not in use: {exposed.why}"
            result = replace(result, verdict=Verdict.INCONCLUSIVE, why=why)
        return result


def _holds(results: Sequence[CellResult], plan: Plan) -> str:
    """Say at which error rate the verdicts of all cells hold."""
    outcomes = [(result.verdict, result.campaign.outcomes) for result in results]
    bounds = [CellBound(v, of.total(), of[Outcome.UNKNOWN]) for v, of in outcomes]
    return statement(bounds, plan.limits.confidence)


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
        exposed = exposure(facts, cell.accel, APICV_BUG.timer, cell.irqchip)
        if exposed.state is not ExposureState.EXPOSED:
            raise RequirementError(
                f"APICv is required, and this host's {cell.accel} is {exposed.state} "
                f"({cell.id}): {exposed.why}. Run it on an Intel host with kvm_intel's "
                "enable_apicv=Y, or without --require apicv."
            )


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
        vcpus=cell.vcpus,
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
    if cell.vcpus > 1 and campaign.lost_by_vcpu:
        counts = sorted(campaign.lost_by_vcpu.items())
        why += "; losses by vCPU: " + ", ".join(f"{lost} on {vcpu}" for vcpu, lost in counts)
    if campaign.failure and verdict in (Verdict.CLEAN, Verdict.INCONCLUSIVE):
        verdict, why = Verdict.INCONCLUSIVE, campaign.failure
    return CellResult(cell, facts, verdict, why, exposed, campaign, rate)
