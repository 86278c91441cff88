"""Starts a QEMU whose guest ticks: one way to get an `Instance`."""

import contextlib
import signal
from collections.abc import AsyncIterator
from dataclasses import replace

from orchestrator.errors import InfraError
from orchestrator.guest.lines import Line, Ready, Refused
from orchestrator.guest.protocol import Guest
from orchestrator.host.protocol import Host
from orchestrator.qmp.answers import StatusInfo
from orchestrator.qmp.errors import MonitorClosedError
from orchestrator.vm.config import InstanceConfig
from orchestrator.vm.instance import Instance
from orchestrator.vm.port import ConsoleClosedError
from orchestrator.vm.qemu import Qemu, starting
from orchestrator.vm.starved import GuestStarvedError, why_starved
from orchestrator.vm.tee import Tee
from orchestrator.vm.tsc import tsc_hz


class GuestStartError(InfraError):
    """QEMU runs, but its guest does not."""


class GuestRefusedError(GuestStartError):
    """The guest itself reports that it cannot do what its configuration asks for."""


@contextlib.asynccontextmanager
async def launch(
    host: Host, config: InstanceConfig, tee: Tee | None = None, *, pin: bool = True
) -> AsyncIterator[Instance]:
    """Start a QEMU and wait until its guest is about to start its timer.

    The end of the context kills QEMU and removes everything it left.

    Args:
        host: where to start it.
        config: the virtual machine.
        tee: a file that gets everything the console says; closed with the console.
        pin: whether to pin the vCPU threads.

    Raises:
        QemuStartError: QEMU did not start, or ended at once.
        GuestStartError: the guest refused its configuration, or said nothing.
        GuestStarvedError: the guest said nothing, but the host did not let it run.
        MonitorClosedError: QEMU ended in the context, which did not handle it.
    """
    guest = config.guest
    shared = guest.shared_port or guest.vcpus > host.max_consoles
    told = replace(guest, shared_port=shared, debug_port=guest.debug_port or host.slow_uart)
    config = replace(config, guest=told)
    async with starting(host, config, tee, pin=pin) as qemu:
        ready = await _wait_ready(qemu, host, config.program)
        hz = await tsc_hz(qemu.monitor, config)
    instance = Instance(host, config, qemu, owned=True)
    instance.tsc_hz = hz
    instance.measured_cycles = ready.period_cycles
    try:
        yield instance
    except MonitorClosedError as error:
        end = await instance.kill()
        if -end.code != signal.SIGKILL:  # QEMU ended itself, which says more
            seen = f"{error.seen}; QEMU ended by {end}"
            raise MonitorClosedError(error.command, seen, arguments=error.arguments) from error
        raise
    finally:
        await instance.kill()


async def _wait_ready(qemu: Qemu, host: Host, program: Guest) -> Ready:
    """Wait for the guest's first line, and return it.

    Raises:
        GuestStartError: the guest did not become ready.
        GuestStarvedError: the host did not let it run.
        MonitorError: QEMU ended.
    """
    name, limit_ns = program.name, max(host.deadlines.ready_ns, program.start_ns)
    try:
        arrived = await qemu.console.next_line(limit_ns)
    except ConsoleClosedError:
        raise MonitorClosedError("query-cpus-fast", "QEMU ended while its guest started") from None
    line: Line | None = arrived[0] if arrived else None
    if isinstance(line, Ready):
        return line
    passed_ns = host.clock.now_ns() - qemu.started_ns
    if isinstance(line, Refused):
        refused = f"starting the {name} guest: it refused its configuration: {line.reason}"
        if line.lacks:
            raise GuestRefusedError(refused)
        if starved := await why_starved(qemu.process, qemu.facts, passed_ns):
            raise GuestStarvedError(refused, starved)
        raise GuestStartError(refused)
    if line is not None:
        raise GuestStartError(f"starting the {name} guest: its first line was {line}")
    state = (await qemu.monitor.ask("query-status", StatusInfo)).status
    silent = f"starting the {name} guest: it said nothing in {limit_ns / 1e9:g} s"
    if starved := await why_starved(qemu.process, qemu.facts, passed_ns):
        raise GuestStarvedError(silent, starved)
    if program.kernel_tick_ns:
        raise GuestRefusedError(
            f"{silent}, though its vCPU ran: its kernel did not get as far as its first process. "
            "Some KVMs run no Linux guest, such as that of a virtual machine without VMX. Under "
            "TCG it runs anywhere (--accel tcg), and the guest tick runs where KVM works at all."
        )
    raise GuestStartError(
        f"{silent} (QEMU's run state: {state!r}). "
        "`losttick doctor` tells whether this accelerator works here."
    )
