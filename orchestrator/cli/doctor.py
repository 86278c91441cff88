"""`losttick doctor`: what is this host, and what can be tested on it?"""

import asyncio
import shlex
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from orchestrator.android.sdk import Sdk
from orchestrator.bugs.exposure import ExposureState
from orchestrator.cli import interrupts
from orchestrator.cli.exits import ExitCode, errors_to_exits, run_async
from orchestrator.cli.options import AsJson, QemuUser
from orchestrator.cli.screen import Screen
from orchestrator.cli.table import Table
from orchestrator.cli.text import Styled, print_json, say
from orchestrator.doctor.android import AndroidCheckup, examine_android
from orchestrator.doctor.examine import examine
from orchestrator.doctor.findings import Checkup
from orchestrator.doctor.health import drain
from orchestrator.doctor.health import health as look_at_health
from orchestrator.doctor.mends import fix as mend_host
from orchestrator.host.facts import HostFacts
from orchestrator.journal.plain import plain

#: The parameters of the module kvm on which timers depend. `--json` has all of them.
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
    android: Annotated[
        bool,
        typer.Option("--android", help="Look for what `losttick android` needs instead."),
    ] = False,
    health: Annotated[
        bool,
        typer.Option(
            "--health",
            help="For Slurm's HealthCheckProgram: look only at /dev/kvm, processes that a run "
            "left, and room; drain this node if one of them is bad.",
        ),
    ] = False,
    qemu_user: QemuUser = None,
    as_json: AsJson = False,
) -> None:
    """Print what can be tested on this host, what can't, and why.

    Exit codes: 0 if `losttick run` (with --android, `losttick android`) can
    give a verdict here, 3 if not; 2 bad usage; 4 if --fix failed. With
    --health: 0 if this node is fit for a run, 3 if not; 4 if Slurm could not
    drain it.
    """
    if health:
        with errors_to_exits(as_json=as_json):
            healthy = _health(as_json=as_json)
        raise typer.Exit(ExitCode.CLEAN if healthy else ExitCode.UNFIT)

    async def look() -> Checkup:
        return await (examine_android(Sdk.of_user()) if android else examine(qemu, qemu_user))

    with errors_to_exits(as_json=as_json):
        code = run_async(lambda: _doctor(look, fix=fix, as_json=as_json))
    raise typer.Exit(code)


def _health(*, as_json: bool) -> bool:
    findings = look_at_health()
    if as_json:
        print_json({"findings": plain(findings)})
    for finding in findings if not as_json else ():
        say(f"{'good' if finding.good else 'bad'}: {finding.in_words}")
    reason = drain(findings)
    if reason is not None:
        say(f"this node is drained: {reason}. Once it is mended: scontrol update State=RESUME")
    return reason is None


async def _doctor(look: Callable[[], Awaitable[Checkup]], *, fix: bool, as_json: bool) -> ExitCode:
    checkup = await look()
    if fix:
        await _mend(checkup)
        checkup = await look()
    if as_json:
        print_json(plain(checkup) | {"usable": checkup.usable})
    else:
        _print(Screen(), checkup)
    return ExitCode.CLEAN if checkup.usable else ExitCode.UNFIT


async def _mend(checkup: Checkup) -> None:
    """Run the safe mends, and say which ran.

    A signal waits for the one that runs, and keeps the next from starting.

    Raises:
        FixError: this user is not root, or a command failed.
    """

    def waits() -> None:
        say(
            "interrupted: waiting for the command that runs, as a package manager that is killed "
            "leaves packages half-configured. No other command follows"
        )

    with interrupts.put_off(waits) as interrupted:
        await asyncio.sleep(0)  # a signal from before ends the command here
        done = await asyncio.to_thread(mend_host, checkup, say, lambda: not interrupted())
    for command in done:
        say(f"did: {shlex.join(command)}")
    await asyncio.sleep(0)  # one that has waited ends it here
    if not done:
        say(_nothing_done(checkup))


def _nothing_done(checkup: Checkup) -> str:
    """Return what `--fix` says where it may run no command: what its user can do."""
    left = checkup.mends_for_a_person
    if not left:
        return "--fix: found nothing that it could mend"
    shown = "".join(f"\n{subject}: {mend}" for subject, mend in left.items())
    return f"--fix: changed nothing. These commands are left to you:{shown}"


def _print(screen: Screen, checkup: Checkup) -> None:
    screen.table(_host(checkup.facts))
    screen.space()
    found = Table(("", "what", "seen"))
    for finding in checkup.findings:
        good = Styled("yes", "green") if finding.good else Styled("no", "yellow")
        found.add(good, finding.subject, finding.seen)
    screen.table(found)
    mends = {f.subject: str(f.mend) for f in checkup.findings if f.mend}
    if mends:
        screen.space()
        screen.prose("Commands that would mend this:")
        for subject, command in mends.items():
            screen.line(f"{subject}: {command}")
    screen.space()
    screen.prose(f"This host is {checkup.exposure.state}: {checkup.exposure.why}.")
    screen.prose(_worth(checkup))


def _host(facts: HostFacts) -> Table:
    virtual = ", itself a virtual machine" if facts.hypervisor else ""
    table = Table(("", ""))
    table.add("kernel", f"{facts.kernel} {facts.kernel_build}")
    cpu = f"{facts.cpu}, {facts.vendor} {facts.family_model_stepping}, {facts.cpus} CPUs"
    table.add("CPU", cpu + virtual)
    table.add("microcode", facts.microcode or "unknown")
    table.add("vmx flags", " ".join(facts.vmx_flags) or "none")
    for module, parameters in facts.kvm_modules.items():
        shown = {n: v for n, v in parameters.items() if module != "kvm" or n in _KVM_PARAMETERS}
        table.add(module, " ".join(f"{name}={value}" for name, value in shown.items()))
    return table


def _worth(checkup: Checkup) -> str:
    """Say whether a verdict from this host is possible, and whether it tells about the bug."""
    exposed = checkup.exposure
    if isinstance(checkup, AndroidCheckup):
        can = "can" if checkup.usable else "can't"
        return f"`losttick android --avd NAME` {can} test an emulator here."
    if not checkup.usable:
        return "`losttick run` can't give a verdict here."
    if exposed.state is ExposureState.NOT_EXPOSED:
        return (
            "`losttick run` can give a verdict here, but not on the bug, which can't show "
            "itself on such a host: `losttick lab run` shows it on an emulated one."
        )
    return "`losttick run` can give a verdict here."
