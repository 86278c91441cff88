"""QEMU on the computer that losttick itself runs on."""

import contextlib
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.host import tracefs
from orchestrator.host.chardevs import chardev_args
from orchestrator.host.cpus import Pins
from orchestrator.host.errors import QemuStartError
from orchestrator.host.protocol import DUMP_FILE
from orchestrator.host.thread_times import ThreadTimes
from orchestrator.process.exit import ProcessExit
from orchestrator.process.supervised import ProcessStartError, Supervised, supervise
from orchestrator.process.user import RunAs

#: Room for a burst of one-byte writes: each write costs the kernel a whole buffer.
SOCKET_BUFFER_BYTES = 4 * 1024 * 1024


class LocalQemu(ThreadTimes):
    """A running QEMU. Made by `LocalBinary.start_qemu`."""

    dump_file = DUMP_FILE

    def __init__(
        self,
        program: Supervised,
        argv: Sequence[str],
        qmp: socket.socket,
        consoles: Sequence[socket.socket],
        tracer: tracefs.TraceInstance | None,
        user: RunAs | None,
    ) -> None:
        self.argv = argv
        self.qmp = qmp
        self.consoles = consoles
        self.tracer = tracer
        self.pid = program.pid
        self.folder = program.folder
        self._program = program
        self._pins = Pins(user.uid if user else None)

    async def pin(self, thread_id: int, cpu: int | None = None) -> int | None:
        """Pin a vCPU thread to a CPU that no other vCPU has; see `QemuProcess.pin`."""
        return self._pins.pin(thread_id, cpu)

    async def read_file(self, name: str) -> bytes:
        """Return a file from QEMU's folder."""
        return await self._program.read_file(name)

    async def exited(self) -> ProcessExit:
        """Wait until QEMU has ended and its folder is gone."""
        return await self._program.exited()

    async def kill(self) -> ProcessExit:
        """End QEMU and free its CPUs."""
        self._pins.give_back()
        if self.tracer:
            self.tracer.close()
        return await self._program.kill()


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
    user: RunAs | None = None
    """The user that runs the binary; None for losttick's own user."""

    async def start_qemu(
        self, args: Sequence[str], files: Mapping[str, bytes], *, consoles: int = 1
    ) -> LocalQemu:
        """Start QEMU under a supervisor; see `Host.start_qemu`."""
        qmp, qmp_theirs = socket.socketpair()
        pairs = [socket.socketpair() for _ in range(consoles)]
        with contextlib.ExitStack() as failing, contextlib.ExitStack() as passed_on:
            for ours in (qmp, *(pair[0] for pair in pairs)):
                failing.enter_context(ours)
            for theirs in (qmp_theirs, *(pair[1] for pair in pairs)):
                passed_on.enter_context(theirs)
                theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
            fds = [qmp_theirs.fileno(), *(theirs.fileno() for _, theirs in pairs)]
            argv = [*self.prefix, self.path, *chardev_args(fds[0], fds[1:]), *args]
            program, tracer = await self._supervise(argv, files, fds, failing)
            failing.pop_all()
        return LocalQemu(program, argv, qmp, [ours for ours, _ in pairs], tracer, self.user)

    async def _supervise(
        self,
        argv: Sequence[str],
        files: Mapping[str, bytes],
        fds: Sequence[int],
        failing: contextlib.ExitStack,
    ) -> tuple[Supervised, tracefs.TraceInstance | None]:
        """Run QEMU, with a recording of its kernel events if the host has a usable tracefs."""
        root, tracer = self.trace_root, None

        def record(place: Path) -> None:
            nonlocal tracer
            tracer = tracefs.TraceInstance.create(root, place.name) if root else None
            if tracer:
                failing.callback(tracer.close)

        try:
            program = await supervise(
                argv, files, what="QEMU", pass_fds=fds, environment=self.environment or {},
                twins=root / "instances" if root else None, user=self.user, on_folder=record,
            )  # fmt: skip
        except ProcessStartError as error:
            raise QemuStartError(error.seen, end=error.end, argv=argv) from error
        if tracer:
            tracer.follow(program.pid)
        return program, tracer
