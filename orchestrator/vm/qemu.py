"""A QEMU that answers: its process, its monitor and its console."""

import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from orchestrator.host.errors import QemuStartError
from orchestrator.host.protocol import Host, QemuProcess
from orchestrator.host.waits import why_waited
from orchestrator.process.exit import ProcessExit
from orchestrator.qmp.answers import CpuInfoFast
from orchestrator.qmp.errors import (
    AnswerError,
    MonitorClosedError,
    MonitorError,
    MonitorTimeoutError,
)
from orchestrator.qmp.monitor import Monitor
from orchestrator.vm.argv import DISK_FILE, SYSTEM_FILE, qemu_args
from orchestrator.vm.config import InstanceConfig, VmstateDisk
from orchestrator.vm.console import Console
from orchestrator.vm.machine import machine_on
from orchestrator.vm.sandbox import sandbox_args
from orchestrator.vm.tee import Tee

#: Size of the disk before the disk that holds the VM state.
SYSTEM_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """Identity of a running QEMU."""

    argv: tuple[str, ...]
    vcpu_threads: tuple[int, ...]
    pinned_cpus: tuple[int | None, ...]
    """CPU to which each vCPU thread is pinned; None if the thread is not pinned."""


@dataclass(frozen=True, slots=True)
class Qemu:
    """A QEMU process with its monitor connected. Made by `connecting`."""

    process: QemuProcess
    monitor: Monitor
    console: Console
    facts: InstanceFacts
    started_ns: int
    """When the process was started or attached to, by the host's clock."""

    async def end(self) -> ProcessExit:
        """Kill the process, then close its streams: a monitor without a peer closes at once."""
        try:
            return await self.process.kill()
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the streams."""
        await _close(self.process, self.monitor, self.console)


@contextlib.asynccontextmanager
async def starting(
    host: Host,
    config: InstanceConfig,
    tee: Tee | None = None,
    args: Sequence[str] = (),
    files: Mapping[str, bytes] = MappingProxyType({}),
    *,
    pin: bool = True,
) -> AsyncIterator[Qemu]:
    """Start a QEMU. It outlives the context, unless the context ends with an error.

    Args:
        host: where to start it.
        config: the virtual machine.
        tee: a file that gets everything the console says; closed with the console.
        args: further arguments.
        files: further files for QEMU's folder, content by name.
        pin: whether to pin the vCPU threads.

    Raises:
        MachineMissingError: QEMU has no version of the machine type.
        QemuStartError: QEMU did not start, or ended at once.
    """
    try:
        files = {**config.program.files, **files}
        if config.disk and DISK_FILE not in files:
            files[DISK_FILE] = await host.empty_disk()
        if config.disk and config.vmstate is VmstateDisk.SECOND:
            files[SYSTEM_FILE] = bytes(SYSTEM_BYTES)
        machine = machine_on(host, config.machine)
        process = await host.start_qemu(
            [*sandbox_args(config, host.facts.qemu), *qemu_args(config, machine), *args],
            files,
            consoles=config.consoles,
        )
    except BaseException:
        if tee:
            tee.close()
        raise
    started_ns = host.clock.now_ns()
    end, starved = None, ""

    async def kill(error: BaseException) -> None:
        nonlocal end, starved
        try:
            if isinstance(error, MonitorTimeoutError):  # once it is dead, nothing tells it
                starved = await why_waited(process, host.clock.now_ns() - started_ns)
        finally:
            end = await process.kill()

    try:
        async with connecting(host, config, process, kill, tee, pin=pin) as qemu:
            yield qemu
    except MonitorError as error:
        ended = isinstance(error, MonitorClosedError)
        how = "it ended" if ended else error.seen
        if starved:
            how += f", and {starved}"
        if isinstance(error, MonitorTimeoutError):
            how += " (run it while the host is less busy, or raise --command-deadline)"
        if end and not ended and end.code == -signal.SIGKILL and not end.stderr.strip():
            end = None  # losttick's own kill, of which there is nothing to say
        raise QemuStartError(
            how, end=end, argv=process.argv, ended_itself=ended, starved=bool(starved)
        ) from error


@contextlib.asynccontextmanager
async def connecting(
    host: Host,
    config: InstanceConfig,
    process: QemuProcess,
    leave: Callable[[BaseException], Awaitable[None]],
    tee: Tee | None = None,
    *,
    pin: bool,
) -> AsyncIterator[Qemu]:
    """Connect to a process that runs. Nothing is undone unless the context ends with an error.

    Args:
        host: where the process runs.
        config: the virtual machine.
        process: the process, with its streams.
        leave: called with an error, before the streams are closed.
        tee: a file that gets everything the console says; closed with the console.
        pin: whether to pin the vCPU threads.

    Raises:
        MonitorError: QEMU did not answer.
    """
    started_ns = host.clock.now_ns()
    console = monitor = None
    try:
        console = Console(process.consoles, host.clock, config.program, tee)
        monitor = await Monitor.connect(process.qmp, host.clock, host.deadlines)
        threads = await _vcpu_threads(monitor, config.guest.vcpus)
        pinned = tuple([await process.pin(thread) if pin else None for thread in threads])
        if process.tracer:
            process.tracer.watch(threads)
        facts = InstanceFacts(tuple(process.argv), threads, pinned)
        yield Qemu(process, monitor, console, facts, started_ns)
    except BaseException as error:
        try:
            await leave(error)
        finally:
            await _close(process, monitor, console)
        raise


async def _vcpu_threads(monitor: Monitor, vcpus: int) -> tuple[int, ...]:
    """Return the thread of each vCPU."""
    found = await monitor.ask("query-cpus-fast", list[CpuInfoFast])
    if len(found) < vcpus:
        raise AnswerError("query-cpus-fast", f"it names {len(found)} of {vcpus} vCPUs")
    return tuple(vcpu.thread_id for vcpu in found[:vcpus])


async def _close(process: QemuProcess, monitor: Monitor | None, console: Console | None) -> None:
    """Close the streams of a QEMU."""
    try:
        if monitor:
            await monitor.close()
        if console:
            await console.close()
    finally:
        for stream in (process.qmp, *process.consoles):
            stream.close()
