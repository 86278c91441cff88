"""`losttick lab probe`: the direct test in kernels of one's choice, without QEMU."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

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
from orchestrator.cli.options import DEFAULT_TMCCTS, AsJson, IntervalConfidence
from orchestrator.lab.kernel.variants import Variant
from orchestrator.process.background import in_thread

if TYPE_CHECKING:
    from orchestrator.bugs.exposure import Exposure
    from orchestrator.cli.live import Show
    from orchestrator.host.facts import HostFacts
    from orchestrator.lab.arms import Choice
    from orchestrator.lab.direct import LabProbe
    from orchestrator.lab.emulator.bochs import Bochs
    from orchestrator.verdict.verdict import Verdict


#: A stock kernel that loses what expires within a microsecond of the restore.
NARROW_RACE = "debian:bullseye"


#: Of the probe's timer, in emulated time: far more than a call of KVM takes there.
PERIOD_NS = 4_000_000


#: From what QEMU restores to a quarter of that period.
TMCCTS_NS = (*DEFAULT_TMCCTS, 1_000_000)


def probe(
    kernels: KernelNames = None,
    variants: Variants = None,
    trials: Annotated[int, typer.Option(min=1, help="Trials for each TMCCT.")] = 100,
    tmcct: Annotated[
        list[int] | None,
        typer.Option(
            min=0,
            max=PERIOD_NS - 1,
            help="Current count to restore, in emulated ns; QEMU restores 0. May be given more "
            "than once.",
            show_default=", ".join(map(str, TMCCTS_NS)),
        ),
    ] = None,
    apicv: Apicv = True,
    parallel: Parallel = None,
    confidence: IntervalConfidence = 0.95,
    as_json: AsJson = False,
) -> None:
    """Test KVM_SET_LAPIC in booted kernels, without QEMU.

    Hundreds of trials take seconds. Without options: one kernel as
    it is and with the bug put in, with and without APICv, and the stock 5.10,
    which has the narrow race. The first run fetches and builds what it needs,
    in some minutes; nothing is installed. Exit codes as of `losttick run`.
    """
    tmccts = list(dict.fromkeys(tmcct or TMCCTS_NS))
    with errors_to_exits(as_json=as_json):
        wanted = _Wanted(kernels, variants, trials, tmccts, confidence, apicv=apicv)
        code = run_async(lambda: _probe(wanted, labs_at_a_time(parallel), as_json=as_json))
    raise typer.Exit(code)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the command line asks for."""

    kernels: list[str] | None
    variants: list[Variant] | None
    trials: int
    tmccts_ns: list[int]
    confidence: float
    apicv: bool


@dataclass(frozen=True, slots=True)
class _Found:
    """An arm, and what the probe found in it."""

    choice: "Choice"
    probe: "LabProbe"
    exposure: "Exposure"
    verdict: "Verdict"
    why: str


async def _probe(wanted: _Wanted, parallel: int, *, as_json: bool) -> ExitCode:
    import asyncio

    from orchestrator.cli.lab.show import emulator
    from orchestrator.cli.live import Show
    from orchestrator.host.local_facts import read_facts
    from orchestrator.journal.plain import plain
    from orchestrator.lab.arms import Choice
    from orchestrator.lab.kernel.names import kernel
    from orchestrator.verdict.arm import lab_verdict

    here = await asyncio.to_thread(read_facts, None, None)
    turns = asyncio.Semaphore(parallel)
    with Show(wanted.confidence) as show:
        bochs = await emulator(show)
        choices = await choose(wanted.kernels, wanted.variants, show, apicv=wanted.apicv)
        if wanted.kernels is None and wanted.variants is None:
            choices.append(Choice(await in_thread(kernel, NARROW_RACE), apicv=wanted.apicv))

        async def one(choice: Choice) -> _Found:
            async with turns:
                return await _probe_arm(choice, wanted, bochs, here, show)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(choice)) for choice in choices]
    found = [task.result() for task in tasks]
    verdict = lab_verdict([(each.choice.identity(bochs.origin), each.verdict) for each in found])
    if as_json:
        cells: list[Any] = [
            {"id": each.choice.name, "kernel": each.choice.kernel.name, "verdict": each.verdict,
             "why": each.why, "exposure": each.exposure, "host": each.probe.facts}
            | plain(each.probe.result)
            for each in found
        ]  # fmt: skip
        whole = {"verdict": verdict, "emulator": bochs.origin, "cells": cells}
        typer.echo(json.dumps(plain(whole), indent=2))
    else:
        _print(found, wanted.tmccts_ns, bochs.origin)
    return verdict_exit(verdict)


async def _probe_arm(
    choice: "Choice", wanted: _Wanted, bochs: "Bochs", here: "HostFacts", show: "Show"
) -> _Found:
    """Boot an arm and run the probe in it."""
    from orchestrator.bugs.catalogue import APICV_BUG
    from orchestrator.bugs.exposure import exposure
    from orchestrator.direct.run import judge
    from orchestrator.lab.direct import probe_in_lab
    from orchestrator.lab.kernel.variants import modified
    from orchestrator.vm.config import Accel

    show.say(f"{choice.name}: preparing")
    booted = await modified(choice.kernel, choice.variant, realigned=bochs.unedited)
    total = wanted.trials * len(wanted.tmccts_ns)
    with show.bar(f"{choice.name}: {total} trials") as progress:
        tested = await probe_in_lab(
            bochs, booted, here, wanted.trials, PERIOD_NS, wanted.tmccts_ns, wanted.confidence,
            apicv=choice.apicv, progress=lambda done: progress(done, total),
        )  # fmt: skip
    exposed = exposure(tested.facts, Accel.KVM, APICV_BUG.timer)
    verdict, why = judge(tested.result, exposed)
    return _Found(choice, tested, exposed, verdict, why)


def _print(found: "list[_Found]", tmccts: list[int], origin: str) -> None:
    from orchestrator.cli.run_table import coloured
    from orchestrator.cli.screen import Screen
    from orchestrator.cli.table import Table

    screen = Screen()
    table = Table(("kernel", "variant", "APICv", *(f"{t} ns" for t in tmccts), "verdict"))
    for each in found:
        table.add(
            each.choice.kernel.version,
            each.choice.variant,
            each.probe.facts.kvm_modules["kvm_intel"].get("enable_apicv", "?"),
            *(f"{s.lost}/{s.trials}" for s in each.probe.result.series),
            coloured(each.verdict),
        )
    screen.prose("Timers lost, by the current count (TMCCT) that was restored:")
    screen.table(table)
    screen.space()
    screen.prose(f"Emulator: {origin}.")
    for each in found:
        screen.prose(f"{each.choice.name} is {each.verdict}: {each.why}.")
