"""`losttick attach`: is the virtual machine that runs there frozen, and by this bug?"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.attached.by_pid import look_at_process
from orchestrator.attached.target import Target, domain_target, socket_target
from orchestrator.cli.attach_loads import Wanted, run_loads
from orchestrator.cli.exits import ExitCode, errors_to_exits, gravest, run_async
from orchestrator.cli.look_table import print_look
from orchestrator.cli.options import (
    AsJson,
    CommandDeadline,
    FailOnKinds,
    IntervalConfidence,
    StateDeadline,
    raised_deadlines,
)
from orchestrator.cli.screen import Screen
from orchestrator.cli.whole import Whole
from orchestrator.clock import Deadlines, LocalClock
from orchestrator.host.facts import HostFacts
from orchestrator.host.local_facts import read_facts
from orchestrator.journal.plain import plain
from orchestrator.look.gather import WINDOW_NS, look
from orchestrator.look.look import Condition, Look

#: The exit code of each condition. A look shows a resemblance, which makes no host `affected`.
_CODES = {
    Condition.FROZEN_BY_BUG: ExitCode.ANOMALOUS,
    Condition.FROZEN_OTHERWISE: ExitCode.ANOMALOUS,
    Condition.ALIVE: ExitCode.CLEAN,
    Condition.PAUSED: ExitCode.CLEAN,
    Condition.UNKNOWN: ExitCode.INCONCLUSIVE,
}


def attach(
    qmp: Annotated[
        Path | None,
        typer.Option(help="Unix socket of QEMU's monitor (-qmp unix:PATH,server=on,wait=off)."),
    ] = None,
    libvirt: Annotated[
        str | None, typer.Option(metavar="DOMAIN", help="Domain of libvirt, asked by virsh.")
    ] = None,
    connect: Annotated[
        str | None,
        typer.Option(metavar="URI", help="libvirt's connection.", show_default="virsh's own"),
    ] = None,
    pid: Annotated[
        int | None,
        typer.Option(min=1, help="QEMU's process; without its monitor there is less to see."),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(min=1, max=3600, help="Seconds to count before the LAPICs are looked at."),
    ] = WINDOW_NS / 1e9,
    loads: Annotated[
        int | None,
        typer.Option(
            parser=Whole(1, 100_000),
            help="Save the guest, load it so many times, and see whether it goes on. losttick "
            "asks before it touches anything.",
            show_default="only look",
        ),
    ] = None,
    console: Annotated[
        Path | None,
        typer.Option(help="Console of the guest: a Unix socket, a PTY, or a file."),
    ] = None,
    alive: Annotated[
        str | None,
        typer.Option(metavar="REGEX", help="A line on --console that only a living guest prints."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before --loads.")] = False,
    confidence: IntervalConfidence = 0.95,
    command_deadline: CommandDeadline = None,
    state_deadline: StateDeadline = None,
    fail_on: FailOnKinds = None,
    as_json: AsJson = False,
) -> None:
    """Look at a running QEMU: is its guest frozen, and by this bug?

    Without --loads, nothing is stopped, saved or loaded. Exit codes of a look:
    0 alive or paused, 5 frozen, 6 can't tell. With --loads: those of `losttick
    run`. For both: 2 bad usage; 3 the monitor is taken, or no load can be tried
    in this guest; 4 QEMU did not answer.
    """
    if (console is None) != (alive is None):
        raise typer.BadParameter("--console and --alive go together")
    if loads is None and (console or yes):
        raise typer.BadParameter("--console, --alive and --yes are for --loads")
    if loads is not None and pid is not None:
        raise typer.BadParameter("--loads needs QEMU's monitor: --qmp or --libvirt")
    if sum(named is not None for named in (qmp, libvirt, pid)) != 1:
        raise typer.BadParameter("name one QEMU, by --qmp, --libvirt or --pid")
    with errors_to_exits(as_json=as_json, fail_on=fail_on):
        deadlines = raised_deadlines(command_deadline, state_deadline)
        window_ns = int(seconds * 1e9)

        async def found() -> Look:
            facts = await asyncio.to_thread(read_facts, None, None)
            if pid is not None:
                return await look_at_process(pid, facts, LocalClock(), window_ns)
            async with _target(qmp, libvirt, connect, deadlines) as target:
                return await _look(target, facts, window_ns)

        async def loaded() -> ExitCode:
            facts = await asyncio.to_thread(read_facts, None, None)
            named, line = str(console) if console else None, alive
            wanted = Wanted(loads or 0, named, line, confidence, yes, as_json)
            async with _target(qmp, libvirt, connect, deadlines) as target:
                return await run_loads(target, facts, wanted)

        code = run_async(loaded if loads else lambda: _print(found, as_json=as_json))
    raise typer.Exit(gravest([code], fail_on))


def _target(
    qmp: Path | None, domain: str | None, uri: str | None, deadlines: Deadlines
) -> contextlib.AbstractAsyncContextManager[Target]:
    if domain is not None:
        return domain_target(domain, uri, deadlines)
    return socket_target(str(qmp), deadlines)


async def _look(target: Target, facts: HostFacts, window_ns: int) -> Look:
    return await look(
        target.qemu,
        target.exposure(facts),
        window_ns=window_ns,
        lapic_is_qemus=target.irqchip_off or None,
        paravirtual="kvm_pvm" in facts.kvm_modules,
    )


async def _print(found: Callable[[], Awaitable[Look]], *, as_json: bool) -> ExitCode:
    seen = await found()
    if as_json:
        typer.echo(json.dumps(plain(seen), indent=2))
    else:
        print_look(Screen(), seen)
    return _CODES[seen.condition]
