"""A whole run: the cells of a plan on their hosts, the journal, and the verdicts."""

import contextlib
import random
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

from orchestrator.campaign.alternate import Periods, Shared
from orchestrator.campaign.events import NO_PROGRESS, Progress
from orchestrator.campaign.images import guest_images
from orchestrator.campaign.open_hosts import opener
from orchestrator.campaign.requirements import require
from orchestrator.campaign.resume import ResumeError, changed_facts
from orchestrator.campaign.room import Room
from orchestrator.campaign.schedule import Assignment, OpenHost, Schedule
from orchestrator.campaign.together import run_together
from orchestrator.campaign.turns import Turns
from orchestrator.campaign.unfit import UnfitCellError
from orchestrator.campaign.witness import Ask
from orchestrator.errors import Lack
from orchestrator.host.boot import Boot, boot_of
from orchestrator.host.facts import HostFacts
from orchestrator.host.protocol import Host
from orchestrator.host.qemu_binary import DEFAULT_QEMU
from orchestrator.journal.file import JOURNAL, Journal, JournalError
from orchestrator.journal.fold import RunState
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import (
    FORMAT,
    HostRecord,
    InterruptedRecord,
    LabRecord,
    PlanRecord,
    ResumedRecord,
    RunRecord,
    VerdictRecord,
)
from orchestrator.plan.cell import SAME_QEMU, Cell
from orchestrator.plan.plan import Plan
from orchestrator.verdict.run import RunResult, judge_run
from orchestrator.version import __version__
from orchestrator.vm.config import Accel


async def run_plan(
    host: Host,
    plan: Plan,
    auto: Accel,
    out: Path,
    progress: Progress = NO_PROGRESS,
    *,
    qemus: Callable[[str], OpenHost] | None = None,
    parallel: int = 1,
    resumed: RunState | None = None,
    ask: Ask | None = None,
    shared_out: bool = False,
    shared: Shared | None = None,
) -> RunResult:
    """Run every cell of a plan and journal it.

    Cells take turns, a block of trials at a time, in an order that the seed draws.

    Args:
        host: the host of all cells that name no other QEMU.
        plan: the plan.
        auto: the accelerator for cells whose accelerator is `auto`.
        out: an existing, empty folder for the journal and the evidence.
        progress: hears of each step.
        qemus: returns a function that opens the host with a named QEMU, for plans that name
            QEMUs. By default, only cells that name no QEMU can run.
        parallel: number of vCPUs that run at a time.
        resumed: the state of an interrupted run of this plan, whose journal is in `out`, as
            `read_run(out)` returns it. The run continues from this state; if that is `finished`,
            its result is returned at once.
        ask: runs the direct test on the host, as a second witness of losses; by default there
            is none.
        shared_out: whether `out` may be a folder that other users can write to.
        shared: what the run has in common with the other arms of a comparison, if it is one.

    Raises:
        RequirementError: the host lacks what the plan requires.
        NoCellsError: the plan has no cells.
        JournalError: nothing can be recorded.
        OutFolderError: another user can write to `out`.
        ResumeError: another process has gone on with the resumed run.
    """
    if resumed is not None and resumed.finished:
        return judge_run(resumed, out / JOURNAL)
    cells = plan.cells(auto)
    require(plan, cells, host.facts)
    assignments = [
        Assignment(cell, opener(cell, qemus) if qemus else _only(host, cell)) for cell in cells
    ]
    return await run_cells(
        assignments, host.facts, plan, out, progress, parallel=parallel, interleave=True, auto=auto,
        resumed=resumed, ask=ask, shared_out=shared_out, boot=await boot_of(host), shared=shared,
    )  # fmt: skip


def _only(host: Host, cell: Cell) -> OpenHost:
    """Return what opens the only host, for a cell that names no other QEMU."""

    @contextlib.asynccontextmanager
    async def open_host() -> AsyncIterator[Host]:
        others = {cell.qemu, cell.loader} - {DEFAULT_QEMU, SAME_QEMU}
        if others:
            raise UnfitCellError(
                f"the plan names QEMU {', '.join(sorted(others))}, and run_plan was given no "
                "`qemus`",
                Lack.QEMU,
            )
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
    resumed: RunState | None = None,
    ask: Ask | None = None,
    shared_out: bool = False,
    boot: Boot = Boot(),  # noqa: B008  # it is frozen
    shared: Shared | None = None,
) -> RunResult:
    """Run cells, each on its host, and journal them.

    Args:
        assignments: the cells, each with its host.
        facts: facts of the host on which losttick itself runs.
        plan: the goals of every cell.
        out: a folder for the journal and the evidence: empty, or that of the resumed run.
        progress: hears of each step.
        parallel: number of cells that run at a time; with `interleave`, number of vCPUs.
        interleave: whether cells take turns, some trials at a time, on hosts that always
            exist. Otherwise a cell keeps its host from its first trial to its last.
        auto: the accelerator that stands for `auto`, for a later resume.
        resumed: the state of the run whose journal is in `out`.
        ask: runs the direct test on a cell's host, as a second witness of losses.
        shared_out: whether `out` may be a folder that other users can write to.
        boot: the present boot of the host on which losttick itself runs.
        shared: what the run has in common with the other arms of a comparison, if it is one. Its
            turns then take the place of `parallel`.

    Returns:
        The same result that `read_result(out)` returns.

    Raises:
        JournalError: nothing can be recorded.
        OutFolderError: another user can write to `out`.
        ResumeError: another process has gone on with the resumed run.
    """
    cells = [assignment.cell for assignment in assignments]
    images = await guest_images(
        [each.cell for each in resumed.cells.values()] if resumed else cells
    )
    with Journal(out / JOURNAL, resume=resumed is not None, shared=shared_out) as journal:
        recorder = Recorder(journal, resumed)
        if resumed is None:
            _begin(recorder, facts, plan, assignments, images, auto, boot)
        else:
            if journal.records != resumed.records:
                raise ResumeError(
                    f"resuming the run in {out}: another process has gone on with it since its "
                    "journal was read. Try again."
                )
            _go_on(recorder, facts, images, boot, progress)
        turns = Turns(
            {cell.id: cell.vcpus if interleave else 1 for cell in cells}, parallel,
            random.Random(f"{recorder.state.seed}/turns"),
            first=[assignment.cell.id for assignment in assignments if assignment.long],
        )  # fmt: skip
        schedule = Schedule(
            plan, recorder, progress, shared.turns if shared else turns, interleave, ask=ask,
            periods=shared.periods if shared else Periods(),
        )  # fmt: skip
        progress.run_begins(cells, plan.limits.planned)

        def interrupted(error: BaseException) -> None:
            # If the journal can't be written, the error that ended the run counts.
            with contextlib.suppress(JournalError):
                recorder.write(InterruptedRecord(type(error).__name__, str(error)))

        try:
            Room(recorder.folder).check()
        except BaseException as error:
            interrupted(error)
            raise
        await run_together(map(schedule.run, assignments), journal, interrupted)
        result = judge_run(recorder.state, journal.path)
        recorder.write(
            VerdictRecord(
                result.verdict, {each.cell.id: each.verdict for each in result.cells},
                result.statement,
            )
        )  # fmt: skip
        return judge_run(recorder.state, journal.path)


def _begin(
    recorder: Recorder,
    facts: HostFacts,
    plan: Plan,
    assignments: Sequence[Assignment],
    images: Mapping[str, str],
    auto: Accel,
    boot: Boot,
) -> None:
    """Write the records that a run begins with."""
    cells = [assignment.cell for assignment in assignments]
    seed = plan.seed if plan.seed is not None else secrets.randbits(32)
    recorder.write(
        RunRecord(FORMAT, __version__, seed, dict(images), boot_id=boot.id, machine=boot.machine)
    )
    recorder.write(HostRecord(facts))
    recorder.write(PlanRecord(plan.model_dump(mode="json"), tuple(cells), auto))
    for assignment in assignments:
        if assignment.lab:
            recorder.write(LabRecord(assignment.cell.id, assignment.lab.identity()))


def _go_on(
    recorder: Recorder, facts: HostFacts, images: Mapping[str, str], boot: Boot, progress: Progress
) -> None:
    """Journal that a run continues, and on which host."""
    state = recorder.state
    if state.boot.ended_before(boot, here=True):
        progress.noted(
            f"The host went down {state.went_down}: it was booted since, and the journal ends "
            "there without an end of the session."
            if state.went_down
            else "The host was booted since the previous session."
        )
    now = dict(images)
    changed = changed_facts(state.facts, facts, (state.guests, now))
    recorder.write(
        ResumedRecord(__version__, now, facts, changed, boot_id=boot.id, machine=boot.machine)
    )
    if changed:
        progress.noted(
            f"The host differs from the previous session's: {', '.join(changed)} changed. "
            "Cells with a verdict keep it; all other cells start again."
        )
