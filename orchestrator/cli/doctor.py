"""`losttick doctor`: what is this host, and what can be tested on it?"""

import json
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.exits import ExitCode, errors_to_exits, run_async
from orchestrator.cli.options import AsJson

if TYPE_CHECKING:
    from orchestrator.bugs.exposure import Exposure
    from orchestrator.doctor.examine import Checkup


#: Of the module kvm's many parameters those that timers depend on; --json has them all.
_KVM_PARAMETERS = ("lapic_timer_advance", "lapic_timer_advance_ns", "min_timer_period_us",
                   "pi_inject_timer", "halt_poll_ns")  # fmt: skip


def doctor(
    qemu: Annotated[
        str | None, typer.Option(help="QEMU binary.", show_default="qemu-system-x86_64 on PATH")
    ] = None,
    fix: Annotated[
        bool,
        typer.Option("--fix", help="As root: install what is missing by apt, mount tracefs."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print what this host is, what can be tested on it, what not and why.

    Exit codes: 0 if `losttick run` can give a verdict here, 3 if not.
    """
    with errors_to_exits(as_json=as_json):
        code = run_async(lambda: _doctor(qemu, fix=fix, as_json=as_json))
    raise typer.Exit(code)


async def _doctor(qemu: str | None, *, fix: bool, as_json: bool) -> ExitCode:
    import asyncio

    from orchestrator.doctor import examine as host_doctor
    from orchestrator.journal.plain import plain

    checkup = await host_doctor.examine(qemu)
    if fix:
        done = await asyncio.to_thread(host_doctor.fix, checkup)
        for command in done:
            typer.echo(f"did: {shlex.join(command)}", err=True)
        if not done:
            typer.echo("--fix: nothing was found that it could mend", err=True)
        checkup = await host_doctor.examine(qemu)
    if as_json:
        typer.echo(json.dumps(plain(checkup) | {"usable": checkup.usable}, indent=2))
    else:
        _print(checkup)
    return ExitCode.CLEAN if checkup.usable else ExitCode.INCONCLUSIVE


def _print(checkup: "Checkup") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    facts = checkup.facts
    console = Console()
    if not console.is_terminal:
        console.width = 140
    host = Table(box=None, show_header=False, pad_edge=False)
    host.add_row("kernel", f"{facts.kernel} {facts.kernel_build}")
    host.add_row(
        "CPU",
        f"{facts.cpu}, {facts.vendor} {facts.family_model_stepping}, {facts.cpus} CPUs"
        + (", itself a virtual machine" if facts.hypervisor else ""),
    )
    host.add_row("microcode", facts.microcode or "unknown")
    host.add_row("vmx flags", " ".join(facts.vmx_flags) or "none")
    for module, parameters in facts.kvm_modules.items():
        told = {n: v for n, v in parameters.items() if module != "kvm" or n in _KVM_PARAMETERS}
        host.add_row(module, " ".join(f"{name}={value}" for name, value in told.items()))
    console.print(host, markup=False, highlight=False)
    console.print()
    found = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "what", "seen", "would mend it"):
        found.add_column(column, overflow="fold")
    for finding in checkup.findings:
        found.add_row(
            "[green]yes[/]" if finding.good else "[yellow]no[/]",
            finding.subject,
            escape(finding.seen),
            shlex.join(finding.mend.command) if finding.mend else "",
        )
    console.print(found, highlight=False)
    console.print()
    exposed = checkup.exposure
    console.print(
        f"This host is {exposed.state}: {exposed.why}.", markup=False, highlight=False,
        soft_wrap=True,
    )  # fmt: skip
    if checkup.usable:
        console.print(_usable_for(exposed), markup=False, highlight=False, soft_wrap=True)
    else:
        console.print("`losttick run` can't give a verdict here.", markup=False, highlight=False)


def _usable_for(exposed: "Exposure") -> str:
    """Say what a verdict from this host would be worth."""
    from orchestrator.bugs.exposure import ExposureState

    if exposed.state is ExposureState.NOT_EXPOSED:
        return (
            "`losttick run` can give a verdict here, but not on the bug, which can't show "
            "itself on such a host: `losttick lab run` shows it on an emulated one."
        )
    return "`losttick run` can give a verdict here."
