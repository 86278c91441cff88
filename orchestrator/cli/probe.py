"""`losttick probe`: the direct test of this host's KVM, without QEMU."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.exits import ExitCode, errors_to_exits, run_async
from orchestrator.cli.options import DEFAULT_TMCCTS, AsJson, IntervalConfidence, Tmcct

if TYPE_CHECKING:
    from orchestrator.direct.run import ProbeResult


def probe(
    trials: Annotated[
        int, typer.Option(min=1, max=100_000_000, help="Trials for each TMCCT.")
    ] = 20_000,
    tmcct: Tmcct = None,
    period_us: Annotated[
        int, typer.Option(min=10, max=1_000_000, help="The timer's period in microseconds.")
    ] = 200,
    confidence: IntervalConfidence = 0.95,
    as_json: AsJson = False,
) -> None:
    """Restore a LAPIC timer by KVM_SET_LAPIC; see whether its interrupt comes.

    Thousands of trials a second, on /dev/kvm itself. Exit codes as of `losttick
    run`.
    """  # fmt: skip
    tmccts = list(dict.fromkeys(tmcct or DEFAULT_TMCCTS))
    with errors_to_exits(as_json=as_json):
        code = run_async(
            lambda: _probe(trials, tmccts, period_us * 1000, confidence, as_json=as_json)
        )
    raise typer.Exit(code)


async def _probe(
    trials: int, tmccts: list[int], period_ns: int, confidence: float, *, as_json: bool
) -> ExitCode:
    import asyncio

    from rich.console import Console
    from rich.progress import Progress

    from orchestrator.bugs.exposure import exposure
    from orchestrator.direct.program import build
    from orchestrator.direct.run import judge, run_probe
    from orchestrator.guest.timer_mode import TimerMode
    from orchestrator.host.local_facts import read_facts
    from orchestrator.journal.plain import plain
    from orchestrator.verdict.verdict import Verdict
    from orchestrator.vm.config import Accel

    facts = await asyncio.to_thread(read_facts, None, None)
    exposed = exposure(facts, Accel.KVM, TimerMode.ONE_SHOT)
    program = await asyncio.to_thread(build)
    stderr = Console(stderr=True)
    with Progress(console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        task = bar.add_task("probe", total=trials * len(tmccts))
        result = await run_probe(
            program, trials, period_ns, tmccts, confidence,
            lambda done: bar.update(task, completed=done),
        )  # fmt: skip
    verdict, why = judge(result, exposed)
    if as_json:
        found = {"verdict": verdict, "why": why, "exposure": exposed, "host": facts}
        typer.echo(json.dumps(plain(found) | plain(result), indent=2))
    else:
        _print(result)
        typer.echo(f"\n{verdict}: {why}.\nThis host is {exposed.state}: {exposed.why}.")
    return {
        Verdict.CLEAN: ExitCode.CLEAN,
        Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    }.get(verdict, ExitCode.FOUND)


def _print(result: "ProbeResult") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("TMCCT", "trials", "lost", "loss rate", "tick after", "trials/s"):
        table.add_column(column, justify="right")
    for series in result.series:
        rate = series.loss_rate
        table.add_row(
            f"{series.tmcct_ns} ns",
            str(series.trials),
            str(series.lost),
            f"< {rate.high:.3%}" if not series.lost else f"{rate.low:.2%} to {rate.high:.2%}",
            f"{series.mean_ns / 1000:.1f} us" if series.lost < series.trials else "-",
            f"{series.trials / series.seconds:,.0f}",
        )
    control = result.control
    table.add_row("control", str(control.trials), str(control.lost), "", "", "")
    Console().print(table)
