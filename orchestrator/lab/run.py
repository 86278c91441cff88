"""A lab run: loads snapshots in booted kernels, with the trials and the journal of any run."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.campaign.events import NO_PROGRESS, Progress
from orchestrator.campaign.run import run_cells
from orchestrator.campaign.schedule import Assignment
from orchestrator.clock import DEFAULT_DEADLINES, Deadlines
from orchestrator.guest.protocol import Guest
from orchestrator.guest.registry import GUESTS
from orchestrator.host.boot import boot_here
from orchestrator.host.local_facts import read_facts
from orchestrator.lab.arms import Arm
from orchestrator.lab.direct import ask_in_lab, direct_parts
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.host.qemu import packaged_qemu
from orchestrator.lab.labs import ArmHost, LabParts, Labs
from orchestrator.plan.cell import Cell
from orchestrator.plan.plan import Plan
from orchestrator.process.background import in_thread
from orchestrator.verdict.run import RunResult
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel


async def run_lab(
    arms: Sequence[Arm],
    plan: Plan,
    out: Path,
    *,
    bochs: Bochs,
    cpus: int = 1,
    deadlines: Deadlines = DEFAULT_DEADLINES,
    parallel: int = 1,
    progress: Progress = NO_PROGRESS,
    say: Callable[[str], None] = lambda text: None,
    shared_out: bool = False,
) -> RunResult:
    """Run every cell of a plan in every arm, and journal it.

    Arms of one kernel share booted labs: KVM's modules are loaded anew for each arm.

    Args:
        arms: kernels and edits.
        plan: the cells and the goals. The accelerator `auto` means KVM.
        out: an existing, empty folder for the journal, the evidence and the labs' logs.
        bochs: the emulator.
        cpus: CPUs of each emulated machine.
        deadlines: how long each kind of step may take.
        parallel: labs that run at a time.
        progress: hears of each step.
        say: is called with each step that takes long before trials begin.
        shared_out: whether `out` may be a folder that other users can write to.

    Returns:
        What `read_result(out)` returns.

    Raises:
        UnfitError: the QEMU can't be had here.
        VariantError: a kernel has no such variant.
        JournalError: nothing can be recorded.
    """
    here = await asyncio.to_thread(read_facts, None, None)
    parts = await lab_parts(bochs, plan, cpus=cpus, deadlines=deadlines)
    cells = [(arm, replace(cell, host=arm.name)) for arm in arms for cell in plan.cells(Accel.KVM)]
    async with Labs(
        parts,
        [arm for arm, _ in cells],
        here,
        out,
        parallel=parallel,
        say=say,
        shared_out=shared_out,
    ) as labs:
        assignments = []
        for arm, cell in cells:
            host = ArmHost(labs, arm)
            # A loss takes long, because all of its evidence is gathered.
            long = arm.expected is Verdict.AFFECTED
            assignments.append(Assignment(cell, host.open, long, lab=host))
        return await run_cells(
            assignments,
            here,
            plan,
            out,
            progress,
            parallel=parallel,
            ask=ask_in_lab,
            shared_out=shared_out,
            boot=boot_here(),
        )


async def lab_parts(
    bochs: Bochs, plan: Plan, *, cpus: int = 1, deadlines: Deadlines = DEFAULT_DEADLINES
) -> LabParts:
    """Return what the labs of a plan are made of, apart from their kernels.

    Raises:
        UnfitError: a part can't be had here.
    """
    return LabParts(
        bochs, await packaged_qemu(), programs=(await in_thread(direct_parts, bochs)).programs,
        cpus=cpus, deadlines=deadlines, guests=await _guests(plan.cells(Accel.KVM)),
    )  # fmt: skip


async def _guests(cells: Sequence[Cell]) -> tuple[Guest, ...]:
    """Return the guests of the cells that have a kernel, with their kernels fetched.

    Raises:
        UnfitError: a kernel can't be had here.
        InputError: a kernel's name names nothing.
    """
    programs = {cell.image_name: GUESTS[cell.guest].booting(cell.guest_kernel) for cell in cells}
    guests = tuple(each for each in programs.values() if each.kernel_tick_ns)
    for guest in guests:
        await in_thread(guest.prepare)
    return guests
