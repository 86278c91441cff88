"""`losttick probe`: the direct test of this host's KVM, without QEMU."""

import asyncio
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from orchestrator.bugs.catalogue import APICV_BUG
from orchestrator.bugs.exposure import exposure
from orchestrator.cli.exits import ExitCode, errors_to_exits, run_async, verdict_exit
from orchestrator.cli.options import DEFAULT_TMCCTS, AsJson, IntervalConfidence, Tmcct
from orchestrator.cli.run_table import coloured
from orchestrator.cli.screen import Screen
from orchestrator.cli.table import Table
from orchestrator.direct.program import build
from orchestrator.direct.run import ProbeResult, judge, run_probe
from orchestrator.host.local_facts import read_facts
from orchestrator.journal.plain import plain
from orchestrator.process.background import in_thread
from orchestrator.vm.config import Accel

_COLUMNS = ("TMCCT", "trials", "lost", "loss rate", "tick after", "trials/s")


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
    """Test KVM_SET_LAPIC on this host, without QEMU.

    Each trial restores a LAPIC timer through /dev/kvm and waits for its
    interrupt: thousands of trials a second. The exit codes are those of
    `losttick run`.
    """
    tmccts = list(dict.fromkeys(tmcct or DEFAULT_TMCCTS))
    with errors_to_exits(as_json=as_json):
        code = run_async(
            lambda: _probe(trials, tmccts, period_us * 1000, confidence, as_json=as_json)
        )
    raise typer.Exit(code)


async def _probe(
    trials: int, tmccts: list[int], period_ns: int, confidence: float, *, as_json: bool
) -> ExitCode:
    facts = await asyncio.to_thread(read_facts, None, None)
    exposed = exposure(facts, Accel.KVM, APICV_BUG.timer)
    program = await in_thread(build)
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
        screen = Screen()
        screen.table(_table(result))
        screen.space()
        screen.prose(coloured(verdict), f": {why}.")
        screen.prose(f"This host is {exposed.state}: {exposed.why}.")
    return verdict_exit(verdict)


def _table(result: ProbeResult) -> Table:
    """Return a row for each TMCCT, and one for the control."""
    table = Table(_COLUMNS, right=frozenset(_COLUMNS))
    for series in result.series:
        rate = series.loss_rate
        table.add(
            f"{series.tmcct_ns} ns",
            str(series.trials),
            str(series.lost),
            f"< {rate.high:.3%}" if not series.lost else f"{rate.low:.2%} to {rate.high:.2%}",
            f"{series.mean_ns / 1000:.1f} us" if series.lost < series.trials else "-",
            f"{series.trials / series.seconds:,.0f}",
        )
    control = result.control
    table.add("control", str(control.trials), str(control.lost), "", "", "")
    return table
