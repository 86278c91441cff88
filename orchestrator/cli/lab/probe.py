"""`losttick lab probe`: the direct test in kernels of your choice, without QEMU."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.direct_progress import DirectProgress
from orchestrator.cli.direct_table import print_direct
from orchestrator.cli.exits import ExitCode, FailOn, errors_to_exits, result_exit, run_async
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
    DEFAULT_TMCCTS,
    AsJson,
    DirectMode,
    FailOnKinds,
    IntervalConfidence,
    Out,
    SharedOut,
)
from orchestrator.cli.out import cut_short, out_folder
from orchestrator.cli.reports import ReportOption, Reports, reports_of
from orchestrator.cli.text import print_json
from orchestrator.cli.whole import Whole
from orchestrator.direct.wanted import DirectTrials, without_repeats
from orchestrator.guest.lapic_mode import DEFAULT_MODE
from orchestrator.lab.arms import Arm, arms_of
from orchestrator.lab.direct import run_direct_in_labs
from orchestrator.lab.kernel.names import kernel
from orchestrator.lab.kernel.variants import Variant
from orchestrator.lab.ready import check_ready
from orchestrator.process.background import in_thread, on_loop
from orchestrator.results.direct import direct_summary

#: A kernel, as distributed, that loses timers that expire within a microsecond of the restore.
NARROW_RACE = "debian:bullseye"


#: Period of the timer in emulated ns: far longer than a KVM ioctl takes in a lab.
PERIOD_NS = 4_000_000


def probe(
    kernels: KernelNames = None,
    variants: Variants = None,
    trials: Annotated[int, typer.Option(parser=Whole(1), help="Trials for each TMCCT.")] = 100,
    mode: DirectMode = DEFAULT_MODE,
    tmcct: Annotated[
        list[int] | None,
        typer.Option(
            parser=Whole(0, PERIOD_NS - 1),
            help="Current count to restore, in emulated ns; QEMU restores 0. May be given more "
            "than once.",
            show_default=", ".join(map(str, DEFAULT_TMCCTS)),
        ),
    ] = None,
    apicv: Apicv = True,
    parallel: Parallel = None,
    confidence: IntervalConfidence = 0.95,
    out: Out = None,
    report: ReportOption = None,
    fail_on: FailOnKinds = None,
    shared_out: SharedOut = False,
    as_json: AsJson = False,
) -> None:
    """Test KVM_SET_LAPIC in booted kernels, without QEMU.

    Hundreds of trials take seconds. Without options, three arms of one kernel
    are tested: as it is, with the bug, and with the bug but without APICv; and
    Debian's 5.10, which has the narrow race. The first run takes some minutes
    to fetch and build; nothing is installed. Exit codes as for `losttick run`.
    """
    direct = DirectTrials(trials, PERIOD_NS, without_repeats(tmcct or DEFAULT_TMCCTS), mode)
    with errors_to_exits(as_json=as_json, fail_on=fail_on):
        wanted = _Wanted(
            kernels, variants, direct, confidence, fail_on,
            reports_of(report, as_json=as_json, out=out), apicv=apicv, shared_out=shared_out,
        )  # fmt: skip
        code = run_async(lambda: _probe(wanted, labs_at_a_time(parallel), out, as_json=as_json))
    raise typer.Exit(code)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The settings of the test."""

    kernels: list[str] | None
    variants: list[Variant] | None
    direct: DirectTrials
    confidence: float
    fail_on: list[FailOn] | None
    reports: Reports
    apicv: bool
    shared_out: bool


async def _probe(wanted: _Wanted, parallel: int, out: Path | None, *, as_json: bool) -> ExitCode:
    with out_folder(out, shared=wanted.shared_out) as folder, Show(wanted.confidence) as show:
        await in_thread(check_ready, wanted.kernels or (), wanted.variants or ())
        bochs = await emulator(show)
        show.say("fetching kernels")
        arms = await in_thread(_arms, wanted, on_loop(show.say))
        progress = DirectProgress(show)
        with cut_short(lambda: progress.cut_short(folder), folder, wanted.reports):
            result = await run_direct_in_labs(
                arms, wanted.direct, wanted.confidence, folder,
                bochs=bochs, parallel=parallel, bar=progress.bar, say=show.say,
                shared_out=wanted.shared_out,
            )  # fmt: skip
    if as_json:
        print_json(direct_summary(result))
    else:
        print_direct(wanted.reports.screen(), result)
    code = result_exit(result.ends, wanted.fail_on)
    return await in_thread(wanted.reports.write_at_end, folder, code)


def _arms(wanted: _Wanted, say: Callable[[str], None]) -> list[Arm]:
    """Return the arms that are asked for; their kernels are fetched."""
    arms = arms_of(wanted.kernels or (), wanted.variants or (), apicv=wanted.apicv, say=say)
    if wanted.kernels is None and wanted.variants is None:
        arms.append(Arm(kernel(NARROW_RACE), apicv=wanted.apicv))
    return arms
