"""Arms of the lab that alternate: each has its own booted lab, and its own journal."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from orchestrator.campaign.alternate import alternating, run_arms
from orchestrator.campaign.events import Progress
from orchestrator.campaign.run import run_cells
from orchestrator.campaign.schedule import Assignment
from orchestrator.clock import DEFAULT_DEADLINES, Deadlines
from orchestrator.host.boot import boot_here
from orchestrator.host.local_facts import read_facts
from orchestrator.lab.arms import Arm
from orchestrator.lab.direct import ask_in_lab
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.labs import ArmHost, Labs
from orchestrator.lab.run import lab_parts
from orchestrator.plan.cell import Cell
from orchestrator.plan.plan import Plan
from orchestrator.verdict.run import RunResult
from orchestrator.vm.config import Accel


def lab_cells(arm: Arm, plan: Plan) -> list[Cell]:
    """Return the cells of a plan in an arm."""
    return [replace(cell, host=arm.name) for cell in plan.cells(Accel.KVM)]


async def run_lab_in_turns(
    arms: Mapping[Path, Arm],
    plan: Plan,
    out: Path,
    progress: Mapping[Path, Progress],
    *,
    bochs: Bochs,
    deadlines: Deadlines = DEFAULT_DEADLINES,
    say: Callable[[str], None] = lambda text: None,
    shared_out: bool = False,
) -> list[RunResult]:
    """Run one cell in every arm, a few loads at a time, and journal each arm in its own folder.

    All labs are booted at the same time. One of them loads; the others wait.

    Args:
        arms: kernels and edits, by the existing, empty folders of their journals and evidence.
        plan: one cell, with the seed of its phases and of the order, and the goals.
        out: the folder that gets the logs of the labs' serial ports.
        progress: hears of the steps of each arm.
        bochs: the emulator.
        deadlines: how long each kind of step may take.
        say: is called with each step that takes long before trials begin.
        shared_out: whether `out` may be a folder that other users can write to.

    Raises:
        UnfitError: the QEMU can't be had here.
        VariantError: a kernel has no such variant.
        JournalError: nothing can be recorded.
    """
    here = await asyncio.to_thread(read_facts, None, None)
    parts = await lab_parts(bochs, plan, deadlines=deadlines)
    cells = {folder: lab_cells(arm, plan) for folder, arm in arms.items()}
    shared = alternating(
        {folder.name: each for folder, each in cells.items()},
        trials=plan.limits.planned, seed=plan.seed or 0,
    )  # fmt: skip
    async with Labs(
        parts, list(arms.values()), here, out, parallel=len(arms), say=say, shared_out=shared_out
    ) as labs:
        hosts = {folder: ArmHost(labs, arm) for folder, arm in arms.items()}
        return await run_arms(
            run_cells(
                [Assignment(cell, hosts[folder].open, lab=hosts[folder]) for cell in cells[folder]],
                here, plan, folder, progress[folder], interleave=True, ask=ask_in_lab,
                shared_out=shared_out, boot=boot_here(), shared=shared[folder.name],
            )
            for folder in arms
        )  # fmt: skip
