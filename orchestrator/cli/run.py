"""`losttick run`: does this host lose ticks?"""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.campaign.resume import read_run
from orchestrator.campaign.run import run_plan
from orchestrator.cli.events import events_to
from orchestrator.cli.exits import ExitCode, errors_to_exits, run_async, verdict_exit
from orchestrator.cli.live import Show
from orchestrator.cli.options import AsJson, Out, Seed
from orchestrator.cli.out import out_folder
from orchestrator.cli.phases import print_phases
from orchestrator.cli.run_table import print_run
from orchestrator.cli.screen import Screen
from orchestrator.errors import InputError
from orchestrator.guest.apic import Apic
from orchestrator.host.cpus import vcpus_at_a_time
from orchestrator.host.qemus import LocalQemus
from orchestrator.journal.file import BusyJournalError
from orchestrator.plan.choices import AccelChoice, Requirement
from orchestrator.plan.load import COMMAND_LINE, build_plan, load_plan, merge
from orchestrator.plan.plan import Plan
from orchestrator.results.summary import summary
from orchestrator.snapshot.method import CycleKind, Method
from orchestrator.timers.registry import TIMERS
from orchestrator.vm.config import Accel, IrqChip
from orchestrator.vm.tryout import why_not


def run(
    accel: Annotated[
        list[AccelChoice] | None,
        typer.Option(help="Accelerator; auto tries KVM, then TCG.", show_default="auto"),
    ] = None,
    mode: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Timer of the guest: {', '.join(TIMERS.names)}.", show_default="one-shot"
        ),
    ] = None,
    apic: Annotated[
        list[Apic] | None,
        typer.Option(help="How the guest reaches its LAPIC.", show_default="xapic"),
    ] = None,
    method: Annotated[
        list[Method] | None, typer.Option(help="How to save and load.", show_default="hmp")
    ] = None,
    period: Annotated[
        list[float] | None,
        typer.Option(help="Timer period in milliseconds, 1 to 4294.", show_default="20"),
    ] = None,
    loads_per_save: Annotated[
        list[int] | None,
        typer.Option(help="Loads of each save, 1 to 25; 1 is a save per trial.", show_default="25"),
    ] = None,
    cycle: Annotated[
        list[CycleKind] | None,
        typer.Option(
            help="Which guests are saved, and how often a save is loaded.", show_default="repeat"
        ),
    ] = None,
    phase: Annotated[
        list[str] | None,
        typer.Option(
            help="Where in the period to save: 0 to 1, LOW-HIGH, random (in its middle) or "
            "expired (in a stopped guest, once its timer ran out).",
            show_default="random",
        ),
    ] = None,
    irqchip: Annotated[
        list[IrqChip] | None,
        typer.Option(help="Where KVM has the interrupt controllers.", show_default="on"),
    ] = None,
    qemu: Annotated[
        list[str] | None,
        typer.Option(help="QEMU binary.", show_default="qemu-system-x86_64 on PATH"),
    ] = None,
    machine: Annotated[
        list[str] | None, typer.Option(help="QEMU's machine type.", show_default="pc")
    ] = None,
    cpu: Annotated[
        list[str] | None,
        typer.Option(help="CPU model, perhaps with features.", show_default="qemu64"),
    ] = None,
    vcpus: Annotated[list[int] | None, typer.Option(help="vCPUs.", show_default="1")] = None,
    memory: Annotated[
        list[int] | None, typer.Option(help="The guest's memory in MiB.", show_default="8")
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(help="Eligible trials a cell.", show_default="what --rule-out takes: 299"),
    ] = None,
    rule_out: Annotated[
        float | None,
        typer.Option(help="Loss rate that `clean` must rule out, 0 to 1.", show_default="0.01"),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(
            help="Confidence of the verdict and the interval, 0.5 to 1.", show_default="0.95"
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Time for a cell's trials.", show_default="what they take")
    ] = None,
    controls: Annotated[
        int | None,
        typer.Option(
            help="Injected losses a cell, 0 to 2; with 0 none is clean.", show_default="2"
        ),
    ] = None,
    seed: Seed = None,
    require: Annotated[
        list[Requirement] | None,
        typer.Option(help="What the host must have, or the run ends with exit code 3."),
    ] = None,
    plan: Annotated[
        str | None,
        typer.Option(
            help="A TOML file with the same settings, or a plan that comes with losttick "
            "(see `losttick plan`); options here come before it.",
            metavar="FILE|NAME",
        ),
    ] = None,
    by_phase: Annotated[
        bool, typer.Option("--by-phase", help="Show outcomes by the phase of their save, too.")
    ] = False,
    parallel: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1024,
            help="vCPUs at a time, in so many machines, each pinned to a core.",
            show_default="one a core; of more than two, one is left to losttick",
        ),
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option(help="Append each step as a JSON line to a file, a FIFO or /dev/fd/N."),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Go on with the run whose output is in this folder, with its plan and seed.",
            metavar="DIR",
        ),
    ] = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Load snapshots while a guest ticks; does this host lose ticks?

    Exit codes: 0 clean, 1 affected or anomalous, 2 bad usage or plan, 3
    inconclusive or nothing fit to run or --require not met, 4 harness failure,
    130 interrupted.

    An option that varies the test may be given more than once: every
    combination is a cell with a verdict of its own.
    """
    given = {
        "seed": seed,
        "require": require,
        "controls": controls,
        "axes": {
            "accel": accel, "mode": mode, "apic": apic, "method": method,
            "period_ms": period, "loads_per_save": loads_per_save, "cycle": cycle,
            "phase": phase, "irqchip": irqchip, "qemu": qemu, "machine": machine, "cpu": cpu,
            "vcpus": vcpus, "memory_mib": memory,
        },
        "limits": {
            "rule_out": rule_out, "confidence": confidence, "trials": trials, "seconds": seconds,
        },
    }  # fmt: skip
    with errors_to_exits(as_json=as_json):
        if resume:
            _refuse_with_resume(plan, out, given)
            work = _Work(out=resume, resume=True)
        else:
            built = load_plan(plan, given) if plan else build_plan(merge({}, given), COMMAND_LINE)
            work = _Work(plan=built, out=out)
        code = run_async(lambda: _run(work, parallel, events, by_phase=by_phase, as_json=as_json))
    raise typer.Exit(code)


class ResumeOptionsError(InputError):
    """Options that a resumed run can't have."""


@dataclass(frozen=True, slots=True)
class _Work:
    """What to run: a plan, or the rest of a run."""

    out: Path | None
    plan: Plan | None = None
    resume: bool = False


def _refuse_with_resume(plan: str | None, out: Path | None, given: dict[str, Any]) -> None:
    """Refuse what would make it another run.

    Raises:
        ResumeOptionsError: something of that kind was given.
    """

    def said(value: Any) -> bool:
        return any(map(said, value.values())) if isinstance(value, dict) else value is not None

    if plan or out or said(given):
        raise ResumeOptionsError(
            "resuming a run: its plan, seed and folder are those that it began with. Give "
            "--resume DIR with none of them (--parallel, --events, --by-phase and --json may be)."
        )


async def _run(
    work: _Work, parallel: int | None, events: Path | None, *, by_phase: bool, as_json: bool
) -> ExitCode:
    resumed = read_run(work.out) if work.resume and work.out else None
    plan = resumed.plan if resumed else work.plan
    assert plan is not None
    qemus = LocalQemus(plan.qemus)
    folder_of = contextlib.nullcontext(work.out) if resumed else out_folder(work.out)
    with (
        folder_of as folder,
        Show(plan.limits.confidence) as show,
        events_to(events, show) as progress,
    ):
        assert folder is not None
        host = await qemus.first()
        facts = await host.facts()
        auto = resumed.auto if resumed else Accel.TCG
        if plan.leaves_accel_open and not resumed:
            why = await why_not(host, Accel.KVM)
            auto = Accel.TCG if why else Accel.KVM
            if why:
                show.say(f"KVM does not work here, so this runs under TCG: {why}")
        try:
            result = await run_plan(
                host, facts, plan, auto, folder, progress,
                qemus=qemus.opener, parallel=parallel or vcpus_at_a_time(), resumed=resumed,
            )  # fmt: skip
        except BusyJournalError:
            raise
        except BaseException:
            journal = folder / "journal.jsonl"
            if journal.exists():
                show.say(f"journal so far: {journal}; go on with: losttick run --resume {folder}")
            raise
    if as_json:
        typer.echo(json.dumps(summary(result), indent=2))
    else:
        screen = Screen()
        print_run(screen, result)
        if by_phase:
            print_phases(screen, result)
    return verdict_exit(result.verdict, failed=result.failed)
