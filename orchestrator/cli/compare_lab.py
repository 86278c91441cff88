"""`losttick compare --run --kernel`: runs the arms of a comparison in the lab."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.cli.arm_progress import ArmProgress, of_arm, said_if_cut_short
from orchestrator.cli.compare_arms import ArmsError, LabArms
from orchestrator.cli.lab.emulator import emulator
from orchestrator.cli.live import Show
from orchestrator.cli.out import arm_folders
from orchestrator.cli.service import with_status
from orchestrator.clock import Deadlines
from orchestrator.guest.config import DEFAULT_TIMER
from orchestrator.lab.alternate import lab_cells, run_lab_in_turns
from orchestrator.lab.arms import arms_of
from orchestrator.lab.plan import lab_plan
from orchestrator.lab.ready import check_ready
from orchestrator.plan.plan import Plan
from orchestrator.process.background import in_thread
from orchestrator.results.comparison.compare import letter

#: Trials of an arm in the lab: a load takes seconds there. Twelve saves of five loads.
TRIALS = 60


async def run_lab_arms(
    wanted: LabArms,
    given: Mapping[str, Any],
    out: Path,
    *,
    deadlines: Deadlines,
    shared_out: bool,
) -> list[Path]:
    """Boot the arms, run them in turns, and return their output folders.

    Args:
        wanted: the arms.
        given: settings of the plan, nested like its file.
        out: the folder to make.
        deadlines: how long each kind of step may take.
        shared_out: whether `out` may be a folder that other users can write to.

    Raises:
        ArmsError: there are not two arms, or the settings make more than one cell.
        LosttickError: the arms can't be run.
    """
    plan = _plan(wanted, given)
    await in_thread(check_ready, wanted.kernels, wanted.variants)
    with Show(plan.limits.confidence) as show:
        bochs = await emulator(show)
        show.say("fetching kernels")
        arms = await in_thread(arms_of, wanted.kernels, wanted.variants, every=wanted.every)
        if len(arms) < 2:
            raise ArmsError(
                f"comparing arms in the lab: there is only {arms[0].name}. Give --kernel or "
                "--variant at least twice, for different kernels or edits"
            )
        names = [letter(number) for number in range(len(arms))]
        progress = with_status(show)
        progress.run_begins(
            [of_arm(cell, name) for name, arm in zip(names, arms, strict=True)
             for cell in lab_cells(arm, plan)],
            plan.limits.planned,
        )  # fmt: skip
        with (
            arm_folders(out, names, shared=shared_out) as folders,
            said_if_cut_short(show, out, folders, resumable=False),
        ):
            await run_lab_in_turns(
                dict(zip(folders, arms, strict=True)), plan, out,
                {folder: ArmProgress(progress, folder.name) for folder in folders},
                bochs=bochs, deadlines=deadlines, say=show.say, shared_out=shared_out,
            )  # fmt: skip
    return folders


def _plan(wanted: LabArms, given: Mapping[str, Any]) -> Plan:
    """Return the plan of every arm.

    Raises:
        ArmsError: it has several cells, or settings that labs don't have.
        PlanError: it has faults.
    """
    axes, limits = given["axes"], given["limits"]
    modes = axes["mode"] or [DEFAULT_TIMER]
    periods = axes["period_ms"] or [None]
    if len(modes) > 1 or len(periods) > 1:
        raise ArmsError("comparing arms in the lab: give one --mode and one --period")
    if limits["seconds"] is not None or limits["rule_out"] is not None:
        raise ArmsError(
            "comparing arms in the lab: --seconds and --rule-out are for QEMUs on this host. "
            "--trials says how many loads each arm gets"
        )
    seed = given["seed"]
    period = periods[0]
    return lab_plan(
        limits["trials"] or TRIALS,
        modes=modes,
        period_ms=float(period) if period and period != "auto" else period,
        seed=secrets.randbits(32) if seed is None else seed,
        compares_kernels=len(set(wanted.kernels)) > 1,
        variants=wanted.variants,
    )
