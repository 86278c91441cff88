"""Attaches to a QEMU that somebody else started: one way to get an `Instance`."""

import contextlib
import os
from collections.abc import AsyncIterator, Sequence

from orchestrator.host.errors import NoAttachError, QemuSocketError
from orchestrator.host.protocol import AttachedProcess, AttachingHost, Host
from orchestrator.qmp.errors import MonitorClosedError
from orchestrator.vm.config import InstanceConfig
from orchestrator.vm.instance import Instance
from orchestrator.vm.qemu import connecting
from orchestrator.vm.tsc import tsc_hz

#: Run states in which saves and loads leave the vCPUs, and from which they can run on.
_HALTED = ("paused", "postmigrate", "restore-vm", "save-vm")


@contextlib.asynccontextmanager
async def attach(
    host: Host,
    config: InstanceConfig,
    *,
    qmp: str | os.PathLike[str],
    consoles: Sequence[str | os.PathLike[str]],
) -> AsyncIterator[Instance]:
    """Connect to a running QEMU and give its `Instance`, which is not `owned`.

    losttick never ends or replaces this QEMU, and pins its vCPU threads only in
    `Instance.pin`. The end of the context undoes the pinning, lets the vCPUs run if the
    instance stopped them (or stops them if it let them run), and closes the sockets.

    Args:
        host: where QEMU runs.
        config: what that QEMU is: above all its guest, the guest's vCPUs, and whether there
            is a disk for snapshots.
        qmp: Unix socket on which QEMU's monitor listens, such as of
            `-qmp unix:PATH,server=on,wait=off`. No other client may be connected to it.
        consoles: Unix sockets of the guest's consoles, such as of
            `-serial unix:PATH,server=on,wait=off`: one for all vCPUs, or one for each.

    Raises:
        NoAttachError: the host cannot attach, or not to this QEMU.
        QemuSocketError: a socket cannot be connected, or their number is wrong.
        MonitorError: QEMU did not answer.
    """
    if not isinstance(host, AttachingHost):
        raise NoAttachError(
            f"a {type(host).__name__} cannot do that. Take the host from open_host()."
        )
    if len(consoles) not in (1, config.guest.vcpus):
        raise QemuSocketError(
            f"{len(consoles)} consoles were given for {config.guest.vcpus} vCPUs. "
            "Give one that all vCPUs print to, or one for each vCPU."
        )
    process = await host.attach_qemu(os.fspath(qmp), [os.fspath(path) for path in consoles])

    async def leave(error: BaseException) -> None:
        await process.release()

    async with connecting(host, config, process, leave, pin=False) as qemu:
        await _require_threads(process, qemu.facts.vcpu_threads)
        instance = Instance(host, config, qemu, owned=False)
        instance.tsc_hz = await tsc_hz(qemu.monitor, config)
        if not instance.tsc_hz:
            instance.measured_cycles = await _measured_cycles(instance)
        found = instance.running = await instance.run_state() == "running"
    try:
        yield instance
    finally:
        try:
            await _restore(instance, running=found)
        finally:
            try:
                await process.release()
            finally:
                await qemu.close()


async def _require_threads(process: AttachedProcess, threads: Sequence[int]) -> None:
    """Check that the process has the threads that its monitor names.

    Without this check, a QEMU with process numbers of its own would have its threads
    mistaken for threads of others.

    Raises:
        NoAttachError: it does not have them.
    """
    for thread in threads:
        try:
            await process.vcpu_cpu_ns(thread)
        except ProcessLookupError:
            raise NoAttachError(
                f"the process that listens on the monitor's socket has no thread {thread}, "
                "which the monitor names as a vCPU. QEMU may run in a container, or another "
                "process may have made the socket."
            ) from None


async def _measured_cycles(instance: Instance) -> int:
    """Return the TSC cycles in a period that the guest measured before its first tick.

    The line that said so is long gone, but the guest's counters in memory still do. Reading
    them does not touch the vCPUs. 0 if they do not say it or cannot be read.
    """
    state = await instance.known_state()
    return state.period_cycles if state else 0


async def _restore(instance: Instance, *, running: bool) -> None:
    """Let the vCPUs run or stop them, as they were found, if the instance changed that."""
    if instance.running is running:
        return
    with contextlib.suppress(MonitorClosedError):  # QEMU has ended
        if not running:
            await instance.stop()
        elif await instance.run_state() in _HALTED:
            await instance.cont()
