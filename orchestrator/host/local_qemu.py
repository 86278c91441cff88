"""QEMU on the computer that losttick itself runs on."""

import contextlib
import os
import socket
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.host import tracefs
from orchestrator.host.chardevs import chardev_args
from orchestrator.host.cpus import OUR_CPUS
from orchestrator.host.errors import QemuStartError
from orchestrator.host.thread_times import cpu_ns, waited_ns
from orchestrator.process.exit import ProcessExit
from orchestrator.process.supervised import ProcessStartError, Supervised

#: Room for a burst of one-byte writes: each write costs the kernel a whole buffer.
SOCKET_BUFFER_BYTES = 4 * 1024 * 1024


class LocalQemu(Supervised):
    """A running QEMU. Made by `LocalBinary.start_qemu`."""

    def __init__(
        self,
        qmp: socket.socket,
        consoles: Sequence[socket.socket],
        argv: Sequence[str],
        trace_root: Path | None,
    ) -> None:
        super().__init__(argv, what="QEMU", twins=trace_root / "instances" if trace_root else None)
        self.qmp = qmp
        self.consoles = consoles
        self.tracer: tracefs.TraceInstance | None = None
        self._trace_root = trace_root
        self._cpus = OUR_CPUS
        self._pins: list[int] = []

    async def run(self) -> None:
        """Start QEMU, with a recording of its kernel events if the host has a usable tracefs."""
        if self._trace_root:
            self.tracer = tracefs.TraceInstance.create(self._trace_root, self.folder.name)
        await super().run()

    async def vcpu_cpu_ns(self, thread_id: int) -> int:
        """Return the CPU time of a vCPU thread; see `QemuProcess.vcpu_cpu_ns`."""
        return cpu_ns(self.pid, thread_id)

    async def waited_ns(self, besides: Collection[int]) -> int:
        """Return the threads' time on run queues; see `QemuProcess.waited_ns`."""
        return waited_ns(self.pid, besides)

    async def pin(self, thread_id: int) -> int | None:
        """Pin a vCPU thread to a CPU that no other vCPU has; see `QemuProcess.pin`."""
        cpu = self._cpus.take(self._pins)
        if cpu is None:
            return None
        try:
            os.sched_setaffinity(thread_id, {cpu})
        except OSError:
            return None
        return cpu

    async def kill(self) -> ProcessExit:
        """End QEMU and free its CPUs."""
        self._cpus.give_back(self._pins)
        if self.tracer:
            self.tracer.close()
        return await super().kill()


@dataclass(frozen=True, slots=True)
class LocalBinary:
    """A QEMU binary, and how it is run."""

    path: str
    prefix: tuple[str, ...] = ()
    """A command that runs the binary, such as a dynamic loader with its library path."""
    environment: Mapping[str, str] | None = None
    """Variables to add to QEMU's environment."""
    trace_root: Path | None = None
    """Mount point of the tracefs in which kernel events are recorded."""

    async def start_qemu(
        self, args: Sequence[str], files: Mapping[str, bytes], *, consoles: int = 1
    ) -> LocalQemu:
        """Start QEMU under a supervisor; see `Host.start_qemu`."""
        qmp, qmp_theirs = socket.socketpair()
        pairs = [socket.socketpair() for _ in range(consoles)]
        with contextlib.ExitStack() as stack:
            for theirs in (qmp_theirs, *(pair[1] for pair in pairs)):
                stack.enter_context(theirs)
                theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
            fds = [qmp_theirs.fileno(), *(theirs.fileno() for _, theirs in pairs)]
            argv = [*self.prefix, self.path, *chardev_args(fds[0], fds[1:]), *args]
            ours = [ours for ours, _ in pairs]
            process = LocalQemu(qmp, ours, argv, self.trace_root)
            try:
                await process.start(files, tuple(fds), self.environment or {})
            except BaseException as error:
                await process.kill()
                for stream in (qmp, *ours):
                    stream.close()
                if isinstance(error, ProcessStartError):
                    raise QemuStartError(error.seen, end=error.end, argv=argv) from error
                raise
            return process
