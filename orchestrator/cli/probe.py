"""`losttick probe`: the direct test of this host's KVM, without QEMU."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.direct_progress import DirectProgress
from orchestrator.cli.direct_table import print_direct
from orchestrator.cli.exits import ExitCode, FailOn, errors_to_exits, result_exit, run_async
from orchestrator.cli.live import Show
from orchestrator.cli.options import (
    DEFAULT_TMCCTS,
    AsJson,
    DirectMode,
    FailOnKinds,
    IntervalConfidence,
    Out,
    SharedOut,
    Tmcct,
)
from orchestrator.cli.out import cut_short, out_folder
from orchestrator.cli.reports import ReportOption, Reports, reports_of
from orchestrator.cli.text import print_json
from orchestrator.cli.whole import Whole
from orchestrator.direct.hosts import HostLog, Subject, run_direct
from orchestrator.direct.program import build
from orchestrator.direct.run import run_program
from orchestrator.direct.wanted import SLOW_TRIALS, DirectTrials, without_repeats
from orchestrator.guest.lapic_mode import DEFAULT_MODE
from orchestrator.host.local_facts import read_facts
from orchestrator.process.background import in_thread
from orchestrator.results.direct import direct_summary


def probe(
    trials: Annotated[
        int,
        typer.Option(
            parser=Whole(1, 100_000_000),
            help=f"Trials for each TMCCT; at most {SLOW_TRIALS} where one takes 1 ms or more.",
        ),
    ] = 20_000,
    mode: DirectMode = DEFAULT_MODE,
    tmcct: Tmcct = None,
    period_us: Annotated[
        int,
        typer.Option(
            parser=Whole(10, 1_000_000),
            help="The timer's period in microseconds; at least twice the TMCCT, and 4 ms if it "
            "is periodic.",
        ),
    ] = 200,
    confidence: IntervalConfidence = 0.95,
    out: Out = None,
    report: ReportOption = None,
    fail_on: FailOnKinds = None,
    shared_out: SharedOut = False,
    as_json: AsJson = False,
) -> None:
    """Test KVM_SET_LAPIC on this host, without QEMU.

    Each trial restores a LAPIC timer through /dev/kvm and waits for its
    interrupt: thousands of trials a second. The exit codes are those of
    `losttick run`.
    """
    tmccts = without_repeats(tmcct or DEFAULT_TMCCTS)
    wanted = DirectTrials(trials, period_us * 1000, tmccts, mode)
    with errors_to_exits(as_json=as_json, fail_on=fail_on):
        reports = reports_of(report, as_json=as_json, out=out)
        code = run_async(
            lambda: _probe(
                wanted, confidence, out, reports, fail_on, shared_out=shared_out, as_json=as_json
            )
        )
    raise typer.Exit(code)


async def _probe(
    wanted: DirectTrials,
    confidence: float,
    out: Path | None,
    reports: Reports,
    fail_on: list[FailOn] | None,
    *,
    shared_out: bool,
    as_json: bool,
) -> ExitCode:
    facts = await in_thread(read_facts, None, None)
    program = await in_thread(build)
    with out_folder(out, shared=shared_out) as folder, Show(confidence) as show:
        progress = DirectProgress(show)

        async def test(log: HostLog) -> None:
            log.came_up(facts)
            with progress.bar(log.name, wanted.total) as done:
                await run_program(program, wanted, done, log.counted)

        with cut_short(lambda: progress.cut_short(folder), folder, reports):
            result = await run_direct(
                [Subject("this host", test)],
                confidence,
                folder,
                mode=wanted.mode,
                period_ns=wanted.period_ns,
                shared_out=shared_out,
            )
    if as_json:
        print_json(direct_summary(result))
    else:
        print_direct(reports.screen(), result)
    return await in_thread(reports.write_at_end, folder, result_exit(result.ends, fail_on))
