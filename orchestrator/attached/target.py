"""Reaches the virtual machine that the user named, by its monitor."""

import contextlib
import itertools
import os
import socket
import stat
import struct
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.attached.errors import TakenError, TargetError
from orchestrator.bugs.exposure import Exposure, exposure
from orchestrator.clock import DEFAULT_DEADLINES, Deadlines, LocalClock
from orchestrator.host.facts import HostFacts
from orchestrator.look.gather import Watched, watched
from orchestrator.look.threads import LocalThreads, thread_group
from orchestrator.qmp.commands import Commands
from orchestrator.qmp.errors import CommandFailedError, MonitorClosedError, MonitorTimeoutError
from orchestrator.qmp.monitor import Monitor
from orchestrator.qmp.virsh import Virsh, virsh_command
from orchestrator.vm.config import Accel, IrqChip

#: How long QEMU may take to greet. A monitor that is free greets at once.
GREETING_NS = 5_000_000_000

#: `struct ucred`: process, user and group.
_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Target:
    """A virtual machine that can be asked."""

    name: str
    """The words by which the user named it."""
    qemu: Watched
    argv: Sequence[str]
    """QEMU's command line; empty if it cannot be read."""
    link: Sequence[str]
    """How another process reaches the same monitor: `unix` and a path, or `virsh` and the
    command."""
    stream: socket.socket | None = None
    """The connection to QEMU's own socket; None by way of libvirt."""

    @property
    def monitor(self) -> Commands:
        """Its monitor."""
        return self.qemu.monitor

    @property
    def accel(self) -> Accel:
        """The accelerator that runs the guest."""
        return Accel.KVM if self.qemu.kvm else Accel.TCG

    @property
    def irqchip_off(self) -> bool:
        """True if QEMU's command line says that KVM emulates no interrupt controller."""
        return any("irqchip=off" in word for word in self.argv)

    def exposure(self, facts: HostFacts) -> Exposure:
        """Return whether the APICv bug can show in this guest.

        Args:
            facts: the computer on which QEMU runs.
        """
        irqchip = IrqChip.OFF if self.irqchip_off else IrqChip.ON
        return exposure(facts, self.accel, None, irqchip, cpu=option(self.argv, "-cpu"))


def option(argv: Sequence[str], name: str) -> str:
    """Return the value of an option on a command line; empty if it is not there."""
    for word, value in itertools.pairwise(argv):
        if word in (name, f"-{name}"):
            return value
    return ""


@contextlib.asynccontextmanager
async def socket_target(
    path: str, deadlines: Deadlines = DEFAULT_DEADLINES
) -> AsyncIterator[Target]:
    """Connect to the Unix socket of QEMU's monitor.

    Raises:
        TargetError: nobody listens there, or something else than QEMU.
        TakenError: another program is connected.
        MonitorError: QEMU did not answer.
    """
    with _connected(path) as stream:
        pid, _, _ = _CREDENTIALS.unpack(
            stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        greeting = replace(deadlines, command_ns=min(GREETING_NS, deadlines.command_ns))
        try:
            monitor = await Monitor.connect(stream, LocalClock(), greeting)
        except MonitorTimeoutError:
            raise TakenError(path, greeting.command_ns / 1e9) from None
        except MonitorClosedError as error:
            raise TargetError(
                f"looking at the QEMU behind {path}: it does not speak QMP there: {error.seen}. "
                "Name the socket of -qmp or of -mon with mode=control, not a human monitor."
            ) from error
        monitor.deadlines = deadlines
        try:
            qemu = await _on_this_computer(await watched(monitor), pid)
            yield Target(path, qemu, command_line(qemu.pid), ("unix", path), stream)
        finally:
            await monitor.close()


@contextlib.asynccontextmanager
async def domain_target(
    domain: str, uri: str | None, deadlines: Deadlines = DEFAULT_DEADLINES
) -> AsyncIterator[Target]:
    """Reach a domain of libvirt.

    Raises:
        NoVirshError: virsh is not installed.
        TargetError: libvirt knows no such domain that runs.
        MonitorError: QEMU did not answer.
    """
    monitor = Virsh(virsh_command(domain, uri), LocalClock(), deadlines)
    try:
        qemu = await watched(monitor)
    except MonitorClosedError as error:
        where = f" of {uri}" if uri else ""
        raise TargetError(
            f"looking at the domain {domain}{where}: {error.seen}. `virsh list` names the domains "
            "that run; --connect names another libvirt, such as qemu:///session."
        ) from error
    if not _elsewhere(uri):
        qemu = await _on_this_computer(qemu, None)
    yield Target(domain, qemu, command_line(qemu.pid), ("virsh", *monitor.command))


def _elsewhere(uri: str | None) -> bool:
    """Return whether a connection may lead to another computer."""
    named = uri or os.environ.get("LIBVIRT_DEFAULT_URI", "") or "qemu:///system"
    return not named.startswith(("qemu:///", "qemu+unix:///"))


async def _on_this_computer(qemu: Watched, pid: int | None) -> Watched:
    """Return a QEMU with its threads, if they are those that its monitor names.

    A QEMU in a container has numbers of its own, and those may be other threads here.

    Args:
        qemu: the QEMU.
        pid: the process that listens on its socket; None if nobody knows, so that its UUID must
            prove it.
    """
    groups = {thread_group(vcpu.thread_id) for vcpu in qemu.vcpus}
    if len(groups) != 1 or None in groups:
        return qemu
    (found,) = groups
    assert found is not None
    if pid is None:
        try:
            answer = await qemu.monitor.execute("query-uuid")
        except CommandFailedError:
            return qemu
        uuid = answer.get("UUID") if isinstance(answer, dict) else None
        if not uuid or option(command_line(found), "-uuid") != uuid:
            return qemu
    elif pid != found:
        return qemu
    return replace(qemu, threads=LocalThreads(found), pid=found)


def command_line(pid: int | None) -> Sequence[str]:
    """Return the command line of a process; empty if it cannot be read."""
    if pid is None:
        return ()
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return ()
    return tuple(os.fsdecode(word) for word in words)


def _connected(path: str) -> socket.socket:
    """Return a socket that is connected to a path. Does not block.

    Raises:
        TargetError: nobody listens there.
    """
    doing = f"looking at the QEMU behind {path}"
    stream = socket.socket(socket.AF_UNIX)
    try:
        stream.setblocking(False)
        stream.connect(path)
    except (OSError, ValueError) as error:
        stream.close()
        if isinstance(error, FileNotFoundError):
            raise TargetError(f"{doing}: there is no such socket") from error
        if isinstance(error, BlockingIOError):
            raise TakenError(path, 0) from error
        seen = (error.strerror if isinstance(error, OSError) else None) or str(error)
        if not _is_socket(path):
            seen += ": it is no socket"
        elif isinstance(error, ConnectionRefusedError):
            seen += ": nobody listens there any more"
        raise TargetError(f"{doing}: {seen}") from error
    return stream


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return True
