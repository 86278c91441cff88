"""`losttick run`: does this host lose ticks?"""

import contextlib
import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.exits import ExitCode, errors_to_exits, run_async
from orchestrator.cli.options import AsJson
from orchestrator.errors import InputError
from orchestrator.guest.firmware import Apic, TimerMode
from orchestrator.plan.choices import AccelChoice, Requirement
from orchestrator.snapshot import Method

if TYPE_CHECKING:
    from orchestrator.plan.model import Plan

DEFAULT_OUT = "losttick-out"


class OutFolderError(InputError):
    """The output folder can't be used."""


def run(
    accel: Annotated[
        list[AccelChoice] | None,
        typer.Option(help="Accelerator; auto tries KVM, then TCG. [default: auto]"),
    ] = None,
    mode: Annotated[
        list[TimerMode] | None,
        typer.Option(help="LAPIC timer mode of the guest. [default: one-shot]"),
    ] = None,
    apic: Annotated[
        list[Apic] | None, typer.Option(help="How the guest reaches its LAPIC. [default: xapic]")
    ] = None,
    method: Annotated[
        list[Method] | None, typer.Option(help="How to save and load. [default: hmp]")
    ] = None,
    period: Annotated[
        list[float] | None,
        typer.Option(help="Timer period in milliseconds, 1 to 4294. [default: 20]"),
    ] = None,
    loads_per_save: Annotated[
        list[int] | None,
        typer.Option(help="Loads of each save, 1 to 25; 1 is a save per trial. [default: 25]"),
    ] = None,
    qemu: Annotated[
        str | None, typer.Option(help="QEMU binary. [default: qemu-system-x86_64 on PATH]")
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(help="Eligible trials a cell. [default: what --rule-out takes: 299]"),
    ] = None,
    rule_out: Annotated[
        float | None,
        typer.Option(help="Loss rate that `clean` must rule out, 0 to 1. [default: 0.01]"),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(help="Confidence of the verdict and the interval, 0.5 to 1. [default: 0.95]"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the phases. [default: drawn]")] = None,
    require: Annotated[
        list[Requirement] | None,
        typer.Option(help="What the host must have, or the run ends with exit code 3."),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(help="A TOML file with the same settings; options here come before it."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help=f"Folder for journal and evidence. [default: {DEFAULT_OUT}/TIME]"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Load snapshots while a guest ticks, and say whether this host loses ticks.

    Exit codes: 0 clean, 1 affected or anomalous, 2 bad usage or plan, 3 inconclusive
    or nothing fit to run or --require not met, 4 harness failure, 130 interrupted.

    An option that varies the test may be given more than once: every combination
    is a cell with a verdict of its own.
    """
    given = {
        "seed": seed,
        "qemu": qemu,
        "require": require,
        "axes": {
            "accel": accel, "mode": mode, "apic": apic, "method": method,
            "period_ms": period, "loads_per_save": loads_per_save,
        },
        "limits": {"rule_out": rule_out, "confidence": confidence, "trials": trials},
    }  # fmt: skip
    with errors_to_exits(as_json=as_json):
        from orchestrator.plan.load import COMMAND_LINE, build_plan, load_plan, merge

        chosen = load_plan(plan, given) if plan else build_plan(merge({}, given), COMMAND_LINE)
        code = run_async(lambda: _run(chosen, out, as_json=as_json))
    raise typer.Exit(code)


async def _run(plan: "Plan", out: Path | None, *, as_json: bool) -> ExitCode:
    from orchestrator.campaign.run import run_plan
    from orchestrator.cli.show import Show, print_run
    from orchestrator.host.local import LocalHost
    from orchestrator.results.summary import summary
    from orchestrator.vm.argv import Accel
    from orchestrator.vm.probe import probe_qemu
    from orchestrator.vm.tryout import why_not

    host = LocalHost(plan.qemu)
    with _out_folder(out) as folder, Show(plan.limits.confidence) as show:
        facts = await host.facts(await probe_qemu(host))
        auto = Accel.TCG
        if AccelChoice.AUTO in plan.axes.accel:
            why = await why_not(host, Accel.KVM)
            auto = Accel.TCG if why else Accel.KVM
            if why:
                show.say(f"KVM does not work here, so this runs under TCG: {why}")
        try:
            result = await run_plan(host, facts, plan, auto, folder, show)
        except BaseException:
            journal = folder / "journal.jsonl"
            if journal.exists():
                show.say(f"journal so far: {journal}")
            raise
    if as_json:
        typer.echo(json.dumps(summary(result), indent=2))
    else:
        print_run(result)
    return _exit_code(result)


def _exit_code(result: Any) -> ExitCode:
    from orchestrator.campaign.verdict import Verdict

    if result.verdict in (Verdict.AFFECTED, Verdict.ANOMALOUS):
        return ExitCode.FOUND
    if result.failed:
        return ExitCode.HARNESS
    return ExitCode.CLEAN if result.verdict is Verdict.CLEAN else ExitCode.INCONCLUSIVE


@contextlib.contextmanager
def _out_folder(out: Path | None) -> Iterator[Path]:
    """Make the output folder; remove it again if nothing was put into it."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    folder = out or Path(DEFAULT_OUT) / stamp
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise OutFolderError(
                f"writing results to {folder}: it is not empty. Name a new folder with --out."
            )
    except OSError as error:
        raise OutFolderError(
            f"writing results to {folder}: {error.strerror}. Name another folder with --out."
        ) from error
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()
