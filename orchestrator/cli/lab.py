"""`losttick lab`: the real bug, on a machine without Intel hardware."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import lab_cache, lab_run
from orchestrator.cli.exits import ExitCode, errors_to_exits, run_async
from orchestrator.cli.options import AsJson, IntervalConfidence

if TYPE_CHECKING:
    from rich.progress import Progress

app = typer.Typer(
    help="Boot kernels on an emulated Intel CPU with APICv (Bochs), and test them there.",
    no_args_is_help=True,
)

DEFAULT_KERNELS = ("debian:bullseye", "debian:bookworm")
DEFAULT_TMCCTS = (0, 1, 100, 1_000, 10_000, 100_000)


app.command()(lab_run.run)
app.command("list")(lab_cache.list_)
app.command()(lab_cache.clean)


@app.command()
def probe(
    kernel: Annotated[
        list[str] | None,
        typer.Option(
            help="debian:SUITE, the newest kernel of that suite, untouched. May be given more "
            f"than once. [default: {', '.join(DEFAULT_KERNELS)}]"
        ),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Trials for each TMCCT.")] = 100,
    tmcct: Annotated[
        list[int] | None,
        typer.Option(
            min=0,
            max=2**32 - 1,
            help="Current count to restore, in ns; QEMU restores 0. May be given more than once. "
            f"[default: {', '.join(map(str, DEFAULT_TMCCTS))}]",
        ),
    ] = None,
    apicv: Annotated[bool, typer.Option(help="Load kvm_intel with enable_apicv.")] = True,
    confidence: IntervalConfidence = 0.95,
    as_json: AsJson = False,
) -> None:
    """Restore armed LAPIC timers by KVM_SET_LAPIC in booted kernels, and see what is lost.

    The first run fetches kernels from this machine's Debian mirror and builds Bochs, in
    about two minutes; later runs take some 15 s a kernel. Nothing is installed. Exit
    codes as of `losttick run`.
    """  # fmt: skip
    kernels = list(dict.fromkeys(kernel or DEFAULT_KERNELS))
    tmccts = list(dict.fromkeys(tmcct or DEFAULT_TMCCTS))
    with errors_to_exits(as_json=as_json):
        code = run_async(
            lambda: _probe(kernels, trials, tmccts, confidence, apicv=apicv, as_json=as_json)
        )
    raise typer.Exit(code)


async def _probe(
    kernels: list[str],
    trials: int,
    tmccts: list[int],
    confidence: float,
    *,
    apicv: bool,
    as_json: bool,
) -> ExitCode:
    import asyncio

    from rich.console import Console
    from rich.progress import Progress

    from orchestrator.campaign.verdict import Verdict, overall
    from orchestrator.guest.firmware import TimerMode
    from orchestrator.host.exposure import exposure
    from orchestrator.host.local_facts import read_facts
    from orchestrator.lab.kernels import kernel as fetch_kernel
    from orchestrator.lab.probe import probe_in_lab
    from orchestrator.probe.run import judge
    from orchestrator.results.journal import plain
    from orchestrator.vm.argv import Accel

    host = await asyncio.to_thread(read_facts, None, None)
    stderr = Console(stderr=True)
    found = []
    with Progress(console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        emulator = await _bochs(bar)
        for name in kernels:
            bar.console.print(f"{name}: fetching", highlight=False)
            fetched = await asyncio.to_thread(fetch_kernel, name)
            bar.console.print(f"{name}: booting", highlight=False)
            task = bar.add_task(name, total=trials * len(tmccts))
            tested = await probe_in_lab(
                emulator, fetched, host, trials, 200_000, tmccts, confidence, apicv=apicv,
                progress=lambda done, task=task: bar.update(task, completed=done),  # type: ignore[misc]
            )  # fmt: skip
            bar.remove_task(task)
            exposed = exposure(tested.facts, Accel.KVM, TimerMode.ONE_SHOT)
            verdict, why = judge(tested.result, exposed)
            found.append((tested, exposed, verdict, why))
    verdict = overall([each[2] for each in found])
    if as_json:
        cells: list[Any] = [
            {"id": tested.kernel, "verdict": verdict, "why": why, "exposure": exposed,
             "host": tested.facts} | plain(tested.result)
            for tested, exposed, verdict, why in found
        ]  # fmt: skip
        typer.echo(json.dumps(plain({"verdict": verdict, "cells": cells}), indent=2))
    else:
        _print(found, tmccts)
    return {
        Verdict.CLEAN: ExitCode.CLEAN,
        Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    }.get(verdict, ExitCode.FOUND)


async def _bochs(bar: "Progress") -> Any:
    """Return Bochs, with a bar if it must be built."""
    from orchestrator.lab.bochs import bochs

    tasks: list[Any] = []

    def progress(done: int, total: int) -> None:
        if not tasks:
            bar.console.print("building Bochs from Debian's source, once: about two minutes")
            tasks.append(bar.add_task("building Bochs", total=total))
        bar.update(tasks[0], completed=done)

    built = await bochs(progress)
    for task in tasks:
        bar.remove_task(task)
    return built


def _print(found: list[Any], tmccts: list[int]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console.width = 140
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("kernel", "version", "APICv", *(f"{t} ns" for t in tmccts), "verdict"):
        table.add_column(column)
    for tested, _, verdict, _ in found:
        table.add_row(
            tested.kernel,
            tested.facts.kernel,
            tested.facts.kvm_modules["kvm_intel"].get("enable_apicv", "?"),
            *(f"{s.lost}/{s.trials}" for s in tested.result.series),
            verdict,
        )
    console.print("Timers lost, by the current count (TMCCT) that was restored:")
    console.print(table)
    for tested, _, verdict, why in found:
        console.print(f"\n{tested.kernel} is {verdict}: {why}.", highlight=False, markup=False)
