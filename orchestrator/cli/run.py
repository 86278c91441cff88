"""`losttick run`: does this host lose ticks?"""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli.exits import errors_to_exits, run_async
from orchestrator.cli.history.keep import (
    AddToHistory,
    RunFailOnKinds,
    keeper,
    kinds_of_cells,
)
from orchestrator.cli.history.options import Db, HostName, Labels
from orchestrator.cli.options import (
    AsJson,
    CommandDeadline,
    Out,
    QemuUser,
    Seed,
    SharedOut,
    StateDeadline,
    StopAfter,
    raised_deadlines,
)
from orchestrator.cli.reports import ReportOption, reports_of
from orchestrator.cli.resume_options import refuse_nameless, refuse_with_resume
from orchestrator.cli.run_work import Asked, Work
from orchestrator.cli.whole import Whole
from orchestrator.guest.apic import Apic
from orchestrator.guest.registry import GUESTS
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.wait import Wait
from orchestrator.host.expected_kernel import check_kernel
from orchestrator.plan.axes import Axes
from orchestrator.plan.choices import AccelChoice, Requirement
from orchestrator.plan.faults import COMMAND_LINE
from orchestrator.plan.load import build_plan, load_plan, merge
from orchestrator.registry import Registry
from orchestrator.snapshot.method import CycleKind, Method, Resume
from orchestrator.timers.registry import TIMERS
from orchestrator.vm.config import Firmware, IrqChip, VmstateDisk

_AXES = "Axes: each may be given more than once, and every combination is a cell"
_GOALS = "How many trials"


def _axis(
    name: str, text: str, names: Registry[Any] | None = None, parser: Whole | None = None
) -> Any:
    """Return the option of an axis of a plan, with the axis's own default."""
    (default,) = Axes.model_fields[name].get_default()
    return typer.Option(
        parser=parser,
        help=text,
        show_default=str(default),
        rich_help_panel=_AXES,
        autocompletion=(lambda: names.names) if names else None,
    )


def _goal(text: str, default: str, parser: Whole | None = None) -> Any:
    return typer.Option(parser=parser, help=text, show_default=default, rich_help_panel=_GOALS)


def run(
    accel: Annotated[
        list[AccelChoice] | None, _axis("accel", "Accelerator; auto is KVM where it works.")
    ] = None,
    guest: Annotated[
        list[str] | None, _axis("guest", f"Guest: {', '.join(GUESTS.names)}.", GUESTS)
    ] = None,
    guest_kernel: Annotated[
        list[str] | None,
        _axis(
            "guest_kernel",
            "Kernel of the guest linux: debian:SUITE, debian:VERSION, host, or a bzImage's path.",
        ),
    ] = None,
    mode: Annotated[
        list[str] | None, _axis("mode", f"Timer of the guest: {', '.join(TIMERS.names)}.", TIMERS)
    ] = None,
    apic: Annotated[list[Apic] | None, _axis("apic", "How the guest reaches its LAPIC.")] = None,
    method: Annotated[
        list[Method] | None, _axis("method", "How state is saved and loaded.")
    ] = None,
    period: Annotated[
        list[str] | None,
        _axis("period_ms", "Timer period in milliseconds, 1 to 4294; auto measures the host."),
    ] = None,
    loads_per_save: Annotated[
        list[int] | None,
        _axis(
            "loads_per_save",
            "Loads of each save, 1 to 25; 1 takes a save for each trial.",
            parser=Whole(),
        ),
    ] = None,
    cycle: Annotated[
        list[CycleKind] | None,
        _axis("cycle", "The guest that is saved next, and how often each save is loaded."),
    ] = None,
    phase: Annotated[
        list[str] | None,
        _axis(
            "phase",
            "Where in the period to save: 0 to 1, LOW-HIGH, random (in the middle) or expired "
            "(stop the guest, and save it when its timer has run out).",
        ),
    ] = None,
    irqchip: Annotated[
        list[IrqChip] | None, _axis("irqchip", "The interrupt controllers that KVM emulates.")
    ] = None,
    qemu: Annotated[list[str] | None, _axis("qemu", "QEMU binary: a path or a name.")] = None,
    machine: Annotated[list[str] | None, _axis("machine", "QEMU's machine type.")] = None,
    cpu: Annotated[list[str] | None, _axis("cpu", "CPU model, optionally with features.")] = None,
    vcpus: Annotated[
        list[int] | None, _axis("vcpus", "vCPUs of the guest, 1 to 8.", parser=Whole())
    ] = None,
    memory: Annotated[
        list[int] | None, _axis("memory_mib", "Memory of the guest in MiB.", parser=Whole())
    ] = None,
    resume_by: Annotated[
        list[Resume] | None,
        _axis(
            "resume",
            "How the guest runs on after a load: losttick stops and continues it (cont), or QEMU "
            "does (auto): `loadvm` on a running machine, a new QEMU without -S.",
        ),
    ] = None,
    pause_before_load: Annotated[
        list[str] | None, _axis("pause_before_load", "Pause before each load: '3 periods', '10 s'.")
    ] = None,
    pause_before_cont: Annotated[
        list[str] | None, _axis("pause_before_cont", "Pause between each load and `cont`.")
    ] = None,
    loader: Annotated[
        list[str] | None,
        _axis("loader", "QEMU binary that loads, if another one than --qemu: a path or a name."),
    ] = None,
    vmstate: Annotated[
        list[VmstateDisk] | None, _axis("vmstate", "Disk that holds the VM state.")
    ] = None,
    firmware: Annotated[
        list[Firmware] | None, _axis("firmware", "How the guest's firmware gets into the VM.")
    ] = None,
    qemu_arg: Annotated[
        list[str] | None,
        typer.Option(
            help="Further argument for QEMU, such as --qemu-arg=-device "
            "--qemu-arg=virtio-rng-pci. All of them go to every QEMU.",
            rich_help_panel=_AXES,
        ),
    ] = None,
    wait: Annotated[
        list[Wait] | None, _axis("wait", "How the guest waits for a tick: it runs, or it halts.")
    ] = None,
    state: Annotated[
        list[SavedState] | None,
        _axis("state", "State of the LAPIC in saves: armed, or with the tick held back."),
    ] = None,
    trials: Annotated[
        int | None, _goal("Trials of each cell.", "as many as --rule-out needs: 299", Whole())
    ] = None,
    rule_out: Annotated[
        float | None, _goal("Loss rate that `clean` must rule out, 0 to 1.", "0.01")
    ] = None,
    confidence: Annotated[
        float | None, _goal("Confidence of verdict and interval, 0.5 to 1.", "0.95")
    ] = None,
    stop_after: StopAfter = None,
    seconds: Annotated[
        float | None, _goal("Time limit for the trials of each cell, in seconds.", "none")
    ] = None,
    controls: Annotated[
        int | None,
        _goal("Injected losses in each cell, 0 to 2; with 0 no cell can be clean.", "2", Whole()),
    ] = None,
    seed: Seed = None,
    require: Annotated[
        list[Requirement] | None,
        typer.Option(help="Property that the host must have; else the run ends with exit code 3."),
    ] = None,
    plan: Annotated[
        str | None,
        typer.Option(
            help="A TOML file with the same settings, or the name of a plan that comes with "
            "losttick (see `losttick plan`). Options override the plan.",
            metavar="FILE|NAME",
        ),
    ] = None,
    by_phase: Annotated[
        bool, typer.Option("--by-phase", help="Also print outcomes by the phase of the save.")
    ] = False,
    parallel: Annotated[
        int | None,
        typer.Option(
            parser=Whole(1, 1024),
            help="vCPUs that run at a time, each pinned to a core.",
            show_default="one for each core; with more than two cores, one core is left free",
        ),
    ] = None,
    qemu_user: QemuUser = None,
    command_deadline: CommandDeadline = None,
    state_deadline: StateDeadline = None,
    events: Annotated[
        Path | None,
        typer.Option(help="Append each step as a JSON line to a file, a FIFO or /dev/fd/N."),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Continue the interrupted run in this folder, with its own plan and seed.",
            metavar="DIR",
        ),
    ] = None,
    resume_or_start: Annotated[
        bool,
        typer.Option(
            "--resume-or-start",
            help="Continue the run in --out if there is one of the same plan; else start it. A "
            "run that has ended is printed again.",
        ),
    ] = False,
    expect_kernel: Annotated[
        str | None,
        typer.Option(
            help="Run only if `uname -r` prints this; else end with exit code 4.",
            metavar="RELEASE",
        ),
    ] = None,
    exclusive: Annotated[
        bool,
        typer.Option(
            "--exclusive",
            help="Run only if no other run with --exclusive has this host; else end with exit "
            "code 6.",
        ),
    ] = False,
    out: Out = None,
    report: ReportOption = None,
    history: AddToHistory = False,
    label: Labels = None,
    host: HostName = None,
    db: Db = None,
    fail_on: RunFailOnKinds = None,
    shared_out: SharedOut = False,
    as_json: AsJson = False,
) -> None:
    """Load snapshots while a guest ticks; does this host lose ticks?

    Exit codes: 0 clean; 1 affected; 2 bad usage, plan or journal; 3 not all
    that was asked for was fit to run; 4 losttick or QEMU failed; 5 anomalous;
    6 inconclusive; 130 interrupted; 141 nobody reads the output. The gravest
    cell decides, in the order 1, 5, 4, 6, 3, 0.
    """
    given = {
        "seed": seed, "require": require, "controls": controls,
        "axes": {
            "accel": accel, "guest": guest, "guest_kernel": guest_kernel, "mode": mode,
            "apic": apic, "method": method, "period_ms": period, "loads_per_save": loads_per_save,
            "cycle": cycle, "phase": phase, "irqchip": irqchip, "qemu": qemu, "machine": machine,
            "cpu": cpu, "vcpus": vcpus, "memory_mib": memory, "wait": wait, "state": state,
            "resume": resume_by,
            "pause_before_load": pause_before_load, "pause_before_cont": pause_before_cont,
            "loader": loader, "vmstate": vmstate, "firmware": firmware,
            "qemu_args": shlex.join(qemu_arg) if qemu_arg else None,
        },
        "limits": {
            "rule_out": rule_out, "confidence": confidence, "trials": trials, "seconds": seconds,
            "stop_after": stop_after,
        },
    }  # fmt: skip
    with errors_to_exits(as_json=as_json, fail_on=kinds_of_cells(fail_on)):
        check_kernel(expect_kernel)
        asked = Asked(
            raised_deadlines(command_deadline, state_deadline), qemu_user,
            reports_of(report, as_json=as_json, out=out),
            keeper(fail_on, add=history, labels=label, host=host, db=db),
            parallel, events, expect_kernel, exclusive, shared_out, by_phase, as_json,
        )  # fmt: skip
        if resume:
            refuse_with_resume(plan, out, given, or_start=resume_or_start)
            work = Work(resume, asked, may_resume=True)
        else:
            refuse_nameless(out, resume_or_start=resume_or_start)
            built = load_plan(plan, given) if plan else build_plan(merge({}, given), COMMAND_LINE)
            work = Work(out, asked, built, may_resume=resume_or_start)
        code = run_async(work.run)
    raise typer.Exit(code)
