"""`losttick lab run`: loads snapshots in kernels of your choice, on an emulated CPU."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from orchestrator.cli.exits import ExitCode, FailOn, errors_to_exits, result_exit, run_async
from orchestrator.cli.lab.arms_table import print_arms
from orchestrator.cli.lab.choices import (
    Apicv,
    KernelNames,
    Parallel,
    Variants,
    labs_at_a_time,
)
from orchestrator.cli.lab.emulator import emulator
from orchestrator.cli.live import Show
from orchestrator.cli.options import (
    AsJson,
    CommandDeadline,
    FailOnKinds,
    IntervalConfidence,
    Out,
    Seed,
    SharedOut,
    StateDeadline,
    StopAfter,
    raised_deadlines,
)
from orchestrator.cli.out import cut_short, out_folder
from orchestrator.cli.reports import ReportOption, Reports, reports_of
from orchestrator.cli.service import with_status
from orchestrator.cli.text import print_json
from orchestrator.cli.whole import Whole
from orchestrator.clock import Deadlines
from orchestrator.guest.config import DEFAULT_GUEST, DEFAULT_TIMER, MAX_PERIOD_NS, MAX_VCPUS
from orchestrator.guest.linux.kernel import DEFAULT_KERNEL
from orchestrator.guest.registry import GUESTS
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.wait import Wait
from orchestrator.lab.arms import arms_of
from orchestrator.lab.kernel.variants import Variant
from orchestrator.lab.plan import PERIOD_MS, lab_plan
from orchestrator.lab.ready import check_ready
from orchestrator.lab.run import run_lab
from orchestrator.plan.period import AUTO
from orchestrator.plan.plan import Plan
from orchestrator.process.background import in_thread, on_loop
from orchestrator.results.summary import summary
from orchestrator.snapshot.method import Method, Resume
from orchestrator.timers.registry import TIMERS

#: Bounds of the period, in milliseconds: a guest must have time to print its line.
_SHORTEST_MS, _LONGEST_MS = 40.0, MAX_PERIOD_NS / 1e6


def _period(said: str | None) -> float | Literal["auto"] | None:
    """Return the option `--period`.

    Raises:
        typer.BadParameter: it is no period.
    """
    if said is None or said == AUTO:
        return None if said is None else AUTO
    try:
        period_ms = float(said)
    except ValueError:
        period_ms = math.nan
    if not _SHORTEST_MS <= period_ms <= _LONGEST_MS:
        raise typer.BadParameter(
            f"{said!r} is neither {AUTO} nor a number of milliseconds from {_SHORTEST_MS:g} to "
            f"{_LONGEST_MS:g}",
            param_hint="--period",
        )
    return period_ms


def run(
    kernels: KernelNames = None,
    variants: Variants = None,
    every: Annotated[
        int,
        typer.Option(
            parser=Whole(1), help="The variant `partial` loses the interrupt of 1 load in N."
        ),
    ] = 4,
    apicv: Apicv = True,
    guest: Annotated[
        list[str] | None,
        typer.Option(help=f"Guest: {', '.join(GUESTS.names)}.", show_default=DEFAULT_GUEST),
    ] = None,
    guest_kernel: Annotated[
        list[str] | None,
        typer.Option(
            help="Kernel of the guest linux: debian:SUITE, debian:VERSION, or a bzImage's path.",
            show_default=DEFAULT_KERNEL,
        ),
    ] = None,
    mode: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Timer of the guest: {', '.join(TIMERS.names)}.", show_default=DEFAULT_TIMER
        ),
    ] = None,
    trials: Annotated[int, typer.Option(parser=Whole(1, 100_000), help="Trials of each arm.")] = 20,
    stop_after: StopAfter = None,
    period: Annotated[
        str | None,
        typer.Option(
            metavar="MS|auto",
            help="Timer period in emulated milliseconds, 40 to 4294; auto measures each lab.",
            show_default=f"{PERIOD_MS:g} for each vCPU; with --kernel or --mode auto; "
            "more for variants that move a tick",
        ),
    ] = None,
    method: Annotated[
        list[Method] | None, typer.Option(help="How state is saved and loaded.", show_default="hmp")
    ] = None,
    wait: Annotated[
        list[Wait] | None,
        typer.Option(help="How the guest waits for a tick.", show_default="busy"),
    ] = None,
    state: Annotated[
        list[SavedState] | None,
        typer.Option(
            help="State of the LAPIC in saves: armed, or with the tick held back.",
            show_default="armed",
        ),
    ] = None,
    resume_by: Annotated[
        list[Resume] | None,
        typer.Option(
            help="Who lets the guest run on after a load: losttick or QEMU.", show_default="cont"
        ),
    ] = None,
    phase: Annotated[
        list[str] | None,
        typer.Option(
            help="Where in the period to save: 0 to 1, LOW-HIGH, random or expired.",
            show_default="random",
        ),
    ] = None,
    pause_before_load: Annotated[
        list[str] | None,
        typer.Option(
            help="Pause before each load, by the lab's clock: '3 periods', '10 s'.",
            show_default="none",
        ),
    ] = None,
    pause_before_cont: Annotated[
        list[str] | None,
        typer.Option(help="Pause between each load and `cont`.", show_default="none"),
    ] = None,
    cpus: Annotated[
        int, typer.Option(parser=Whole(1, 2), help="CPUs of the emulated computer.")
    ] = 1,
    vcpus: Annotated[
        int,
        typer.Option(parser=Whole(1, MAX_VCPUS), help="vCPUs of the guest; each of them ticks."),
    ] = 1,
    parallel: Parallel = None,
    command_deadline: CommandDeadline = None,
    state_deadline: StateDeadline = None,
    confidence: IntervalConfidence = 0.95,
    seed: Seed = None,
    out: Out = None,
    report: ReportOption = None,
    fail_on: FailOnKinds = None,
    shared_out: SharedOut = False,
    as_json: AsJson = False,
) -> None:
    """Load snapshots in booted kernels, and see which lose ticks.

    Without options, three arms of one kernel are tested: as it is, with the
    fix reverted, and with the fix reverted but without APICv. With --kernel
    alone, each kernel is tested untouched.

    The verdict is that of the untouched kernels. Arms whose answer is known
    prove that the lab would have shown the bug. The first run fetches and
    builds what it needs in some minutes; nothing is installed. Exit codes as
    for `losttick run`.
    """
    period_ms = _period(period)
    with errors_to_exits(as_json=as_json, fail_on=fail_on):
        plan = lab_plan(
            trials, modes=mode or (DEFAULT_TIMER,), period_ms=period_ms, vcpus=vcpus,
            confidence=confidence, seed=seed, compares_kernels=bool(kernels or mode),
            variants=variants or (), stop_after=stop_after,
            axes={
                "guest": guest, "guest_kernel": guest_kernel, "method": method, "wait": wait,
                "state": state, "resume": resume_by, "phase": phase,
                "pause_before_load": pause_before_load, "pause_before_cont": pause_before_cont,
            },
        )  # fmt: skip
        deadlines = raised_deadlines(command_deadline, state_deadline)
        wanted = _Wanted(
            kernels, variants, every, cpus, labs_at_a_time(parallel), deadlines, fail_on,
            reports_of(report, as_json=as_json, out=out), apicv=apicv, shared_out=shared_out,
        )  # fmt: skip
        code = run_async(lambda: _run(plan, wanted, out, as_json=as_json))
    raise typer.Exit(code)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The settings of the run."""

    kernels: list[str] | None
    variants: list[Variant] | None
    every: int
    cpus: int
    parallel: int
    deadlines: Deadlines
    fail_on: list[FailOn] | None
    reports: Reports
    apicv: bool
    shared_out: bool


async def _run(plan: Plan, wanted: _Wanted, out: Path | None, *, as_json: bool) -> ExitCode:
    with (
        out_folder(out, shared=wanted.shared_out) as folder,
        Show(plan.limits.confidence) as show,
    ):
        await in_thread(check_ready, wanted.kernels or (), wanted.variants or ())
        bochs = await emulator(show)
        show.say("fetching kernels")
        arms = await in_thread(
            arms_of, wanted.kernels or (), wanted.variants or (), apicv=wanted.apicv,
            every=wanted.every, say=on_loop(show.say),
        )  # fmt: skip
        with cut_short(lambda: show.cut_short(folder, resumable=False), folder, wanted.reports):
            result = await run_lab(
                arms, plan, folder, bochs=bochs, cpus=wanted.cpus, deadlines=wanted.deadlines,
                parallel=wanted.parallel, progress=with_status(show), say=show.say,
                shared_out=wanted.shared_out,
            )  # fmt: skip
    if as_json:
        print_json(summary(result))
    else:
        print_arms(wanted.reports.screen(), result, show.times)
    code = result_exit(result.ends, wanted.fail_on)
    return await in_thread(wanted.reports.write_at_end, folder, code)
