"""`losttick compare --run`: runs the arms of a comparison in turns, on one host."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.campaign.accelerator import open_accel
from orchestrator.campaign.alternate import alternating, run_arms
from orchestrator.campaign.run import run_plan
from orchestrator.cli.arm_progress import ArmProgress, of_arm, said_if_cut_short
from orchestrator.cli.compare_arms import ArmsError, ArmsWanted
from orchestrator.cli.compare_lab import run_lab_arms
from orchestrator.cli.live import Show
from orchestrator.cli.out import arm_folders, new_place, run_to_resume
from orchestrator.cli.service import with_status
from orchestrator.direct.witness import ask_this_host
from orchestrator.host.qemus import LocalQemus
from orchestrator.journal.fold import RunState
from orchestrator.plan.faults import COMMAND_LINE
from orchestrator.plan.load import build_plan, load_plan, merge
from orchestrator.plan.plan import Plan
from orchestrator.process.existence import is_folder, is_hidden, no_folder
from orchestrator.results.comparison.compare import MOST_LETTERS, letter


async def run_compared(wanted: ArmsWanted) -> list[Path]:
    """Run the arms in turns; return their output folders.

    Raises:
        ArmsError: there are no arms to resume.
        LosttickError: the arms can't be run.
    """
    if wanted.lab.named:
        return await run_lab_arms(
            wanted.lab, wanted.given, wanted.out or new_place(), deadlines=wanted.deadlines,
            shared_out=wanted.shared_out,
        )  # fmt: skip
    if wanted.resume:
        arms = [
            _ArmRun(folder, state.plan, state)
            for folder in _arms_in(wanted.resume)
            if (state := await run_to_resume(folder, shared=wanted.shared_out))
        ]
        if not all(arm.finished for arm in arms):
            await _run(wanted, wanted.resume, arms)
        return [arm.folder for arm in arms]
    plans = _plans(wanted)
    out = wanted.out or new_place()
    names = [letter(number) for number in range(len(plans))]
    with arm_folders(out, names, shared=wanted.shared_out) as folders:
        await _run(wanted, out, [_ArmRun(*arm) for arm in zip(folders, plans, strict=True)])
    return folders


@dataclass(frozen=True, slots=True)
class _ArmRun:
    """An arm on this host."""

    folder: Path
    plan: Plan
    state: RunState | None = None
    """The state of the interrupted run that goes on."""

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def finished(self) -> bool:
        return self.state is not None and self.state.finished


def _arms_in(out: Path) -> list[Path]:
    """Return the folders of the arms in a folder.

    Raises:
        ArmsError: there are no two.
    """
    places = [out / letter(number) for number in range(MOST_LETTERS)]
    if is_hidden(places[0]):
        raise ArmsError(f"resuming the comparison in {out}: {no_folder(places[0])}")
    found = [place for place in places if is_folder(place)]
    if len(found) < 2:
        raise ArmsError(
            f"resuming the comparison in {out}: it has no folders A and B. Name the folder that "
            "`losttick compare --run` wrote."
        )
    return found


def _plans(wanted: ArmsWanted) -> list[Plan]:
    """Return the plan of each arm: one plan with one seed, but for the QEMU.

    Raises:
        PlanError: the plan has faults.
    """
    drawn: int | None = None
    plans = []
    for qemu in wanted.qemus:
        given = merge(wanted.given, {"axes": {"qemu": [qemu]}})
        plan = (
            load_plan(wanted.plan, given)
            if wanted.plan
            else build_plan(merge({}, given), COMMAND_LINE)
        )
        if plan.seed is None:
            drawn = secrets.randbits(32) if drawn is None else drawn
            plan = plan.model_copy(update={"seed": drawn})
        plans.append(plan)
    return plans


async def _run(wanted: ArmsWanted, out: Path, arms: Sequence[_ArmRun]) -> None:
    """Run the arms that have not ended."""
    first, folders = arms[0], [arm.folder for arm in arms]
    goals = first.plan.limits
    names = [name for arm in arms for name in arm.plan.qemus]
    with Show(goals.confidence) as show, said_if_cut_short(show, out, folders):
        async with LocalQemus(names, wanted.deadlines, wanted.qemu_user, show.say) as qemus:
            hosts = {arm.name: await qemus.host(arm.plan.qemus[0]) for arm in arms}
            host = hosts[first.name]
            before = first.state
            auto = before.auto if before else open_accel(first.plan, host.facts, show.say)
            left = [arm for arm in arms if not arm.finished]
            cells = {arm.name: arm.plan.cells(auto) for arm in left}
            shared = alternating(
                cells, trials=goals.planned, seed=before.seed if before else first.plan.seed or 0,
                parallel=wanted.parallel or 1, periods=_periods(arms),
            )  # fmt: skip
            progress = with_status(show)
            progress.run_begins(
                [of_arm(cell, name) for name in cells for cell in cells[name]], goals.planned
            )
            await run_arms(
                run_plan(
                    hosts[arm.name], arm.plan, auto, arm.folder, ArmProgress(progress, arm.name),
                    qemus=qemus.opener, resumed=arm.state, ask=ask_this_host,
                    shared_out=wanted.shared_out, shared=shared[arm.name],
                )
                for arm in left
            )  # fmt: skip


def _periods(arms: Sequence[_ArmRun]) -> dict[str, int]:
    """Return the timer periods that were measured before, by what equal cells share."""
    states = [arm.state for arm in arms if arm.state]
    return {
        cell.cell.like: cell.period_ns
        for state in states
        for cell in state.cells.values()
        if cell.period_ns
    }
