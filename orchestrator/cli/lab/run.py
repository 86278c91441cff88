"""`losttick lab run`: snapshots loaded in kernels of one's choice, on an emulated CPU."""

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.exits import ExitCode, errors_to_exits, run_async, verdict_exit
from orchestrator.cli.lab.choices import (
    Apicv,
    KernelNames,
    Parallel,
    Variants,
    choose,
    labs_at_a_time,
)
from orchestrator.cli.options import AsJson, IntervalConfidence, Out, Seed
from orchestrator.cli.out import out_folder
from orchestrator.guest.config import MAX_PERIOD_NS, MAX_VCPUS
from orchestrator.lab.kernel.variants import Variant
from orchestrator.timers.registry import TIMERS

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.plan.plan import Plan


#: Period for each vCPU. Printing a line takes 10.5 ms of an emulated CPU, and all vCPUs print
#: to one port.
PERIOD_MS = 60.0


#: Period when kernels are compared: long enough to tell when the first tick came.
KERNELS_PERIOD_MS = 200.0


#: Few, so that 20 trials are of several phases.
LOADS_PER_SAVE = 5


def run(
    kernels: KernelNames = None,
    variants: Variants = None,
    every: Annotated[
        int, typer.Option(min=1, help="The variant `partial` loses the interrupt of 1 in N loads.")
    ] = 4,
    apicv: Apicv = True,
    mode: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Timer of the guest: {', '.join(TIMERS.names)}.", show_default="one-shot"
        ),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, max=100_000, help="Eligible trials an arm.")] = 20,
    period: Annotated[
        float | None,
        typer.Option(
            min=40,
            max=4294,
            help="Timer period in emulated milliseconds.",
            show_default=f"{PERIOD_MS:g} for each vCPU; with --kernel {KERNELS_PERIOD_MS:g}",
        ),
    ] = None,
    cpus: Annotated[int, typer.Option(min=1, max=2, help="CPUs of the emulated machine.")] = 1,
    vcpus: Annotated[
        int, typer.Option(min=1, max=MAX_VCPUS, help="vCPUs of the guest, each with its ticks.")
    ] = 1,
    parallel: Parallel = None,
    confidence: IntervalConfidence = 0.95,
    seed: Seed = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Load snapshots in booted kernels, and see which lose ticks.

    Without options: one kernel as it is, the same with the fix reverted (and
    what that needs), and that once more without APICv. With --kernel alone:
    each kernel untouched.

    The verdict is that of the untouched kernels; arms whose answer is known
    prove that the lab would have shown the bug. The first run fetches and
    builds what it needs, in some minutes; nothing is installed. Exit codes as
    of `losttick run`.
    """
    with errors_to_exits(as_json=as_json):
        from orchestrator.plan.load import COMMAND_LINE, build_plan

        usual_ms = KERNELS_PERIOD_MS if kernels else PERIOD_MS
        needed = 1 - (1 - confidence) ** (1 / trials)
        plan = build_plan(
            {
                "seed": seed,
                "axes": {
                    "accel": "kvm",
                    "mode": mode or ["one-shot"],
                    "period_ms": period or min(usual_ms * vcpus, MAX_PERIOD_NS / 1e6),
                    "vcpus": vcpus,
                    "loads_per_save": LOADS_PER_SAVE,
                },
                "limits": {"trials": trials, "confidence": confidence, "rule_out": needed},
            },
            COMMAND_LINE,
        )
        wanted = _Wanted(kernels, variants, every, cpus, labs_at_a_time(parallel), apicv=apicv)
        code = run_async(lambda: _run(plan, wanted, out, as_json=as_json))
    raise typer.Exit(code)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the command line asks for."""

    kernels: list[str] | None
    variants: list[Variant] | None
    every: int
    cpus: int
    parallel: int
    apicv: bool


async def _run(plan: "Plan", wanted: _Wanted, out: "Path | None", *, as_json: bool) -> ExitCode:
    import asyncio
    from functools import partial

    from orchestrator.campaign.run import run_cells
    from orchestrator.campaign.schedule import Assignment
    from orchestrator.cli.lab.arms_table import print_arms
    from orchestrator.cli.lab.show import emulator
    from orchestrator.cli.live import Show
    from orchestrator.cli.screen import Screen
    from orchestrator.host.local_facts import read_facts
    from orchestrator.lab.arms import Arm
    from orchestrator.lab.host.qemu import packaged_qemu
    from orchestrator.results.summary import summary
    from orchestrator.verdict.verdict import Verdict
    from orchestrator.vm.config import Accel

    here = await asyncio.to_thread(read_facts, None, None)
    with out_folder(out) as folder, Show(plan.limits.confidence) as show:
        bochs = await emulator(show)
        packaged = await packaged_qemu()
        choices = await choose(wanted.kernels, wanted.variants, show, apicv=wanted.apicv)
        assignments = []
        for choice in choices:
            for cell in plan.cells(Accel.KVM):
                arm = Arm(choice)
                boot = partial(
                    arm.host, bochs, packaged, here, folder, cpus=wanted.cpus, every=wanted.every,
                    say=show.say,
                )  # fmt: skip
                # A loss takes long: each has to be made sure of.
                long = choice.known is Verdict.AFFECTED
                assignments.append(Assignment(replace(cell, host=choice.name), boot, long, lab=arm))
        result = await run_cells(
            assignments, here, plan, folder, show,
            parallel=wanted.parallel,
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(summary(result), indent=2))
    else:
        print_arms(Screen(), result)
    return verdict_exit(result.verdict, failed=result.failed)
