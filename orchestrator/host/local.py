"""The machine that losttick itself runs on."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from orchestrator.clock import DEFAULT_DEADLINES, Deadlines, LocalClock
from orchestrator.guest.config import MAX_VCPUS
from orchestrator.host import pressure, tracefs
from orchestrator.host.chardevs import chardev_args
from orchestrator.host.cpus import OUR_CPUS
from orchestrator.host.facts import HostFacts, QemuFacts
from orchestrator.host.local_facts import read_facts
from orchestrator.host.protocol import QemuStartError
from orchestrator.host.qemu_binary import NoQemuError, find_qemu
from orchestrator.host.thread_times import cpu_ns, waited_ns
from orchestrator.process.exit import QemuExit
from orchestrator.process.supervised import Supervised

#: Room for a burst of one-byte writes: each costs the kernel a whole buffer.
SOCKET_BUFFER_BYTES = 4 * 1024 * 1024


class LocalHost:
    """The machine itself, with one QEMU binary."""

    def __init__(
        self,
        qemu: str | None = None,
        *,
        qemu_prefix: Sequence[str] = (),
        deadlines: Deadlines = DEFAULT_DEADLINES,
    ) -> None:
        """Find QEMU.

        Args:
            qemu: path or name of the binary; the one on PATH by default.
            qemu_prefix: a command that runs it, such as a dynamic loader with its library path.
            deadlines: how long each kind of step may take.

        Raises:
            NoQemuError, NotQemuError: it is not there.
        """
        self.clock = LocalClock()
        self.deadlines = deadlines
        self.qemu = find_qemu(qemu)
        self._prefix = tuple(qemu_prefix)
        self._disk: bytes | None = None
        self._facts: HostFacts | None = None
        self._tracefs = tracefs.find()
        self.environment: dict[str, str] = {}
        """Variables added to QEMU's environment."""

    max_consoles = MAX_VCPUS

    async def facts(self, qemu: QemuFacts | None = None) -> HostFacts:
        """Return what this machine is, with the QEMU given or as read before."""
        if self._facts is None or qemu is not None:
            self._facts = await asyncio.to_thread(read_facts, qemu, self._tracefs)
        return self._facts

    async def read_file(self, path: str) -> str:
        """Return a text file."""
        return await asyncio.to_thread(Path(path).read_text)

    async def pressure_percent(self) -> float | None:
        """Return how busy the CPUs are; see `Host.pressure_percent`."""
        try:
            return pressure.percent(await self.read_file(pressure.FILE))
        except OSError:
            return None

    async def empty_disk(self) -> bytes:
        """Return an empty qcow2 image, made once by qemu-img.

        Raises:
            NoQemuError: qemu-img is not installed.
        """
        if self._disk is None:
            tool = shutil.which("qemu-img")
            if tool is None:
                raise NoQemuError("qemu-img")
            self._disk = await asyncio.to_thread(_make_disk, tool)
        return self._disk

    async def start_qemu(
        self, args: Sequence[str], files: Mapping[str, bytes], *, consoles: int = 1
    ) -> "LocalQemu":
        """Start QEMU under a supervisor; see `Host.start_qemu`."""
        qmp, qmp_theirs = socket.socketpair()
        pairs = [socket.socketpair() for _ in range(consoles)]
        with contextlib.ExitStack() as stack:
            for theirs in (qmp_theirs, *(pair[1] for pair in pairs)):
                stack.enter_context(theirs)
                theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
            fds = [qmp_theirs.fileno(), *(theirs.fileno() for _, theirs in pairs)]
            argv = [*self._prefix, self.qemu, *chardev_args(fds[0], fds[1:]), *args]
            ours = [ours for ours, _ in pairs]
            process = LocalQemu(qmp, ours, argv, tracefs_root=self._tracefs)
            try:
                await process.start(files, pass_fds=tuple(fds), environment=self.environment)
            except BaseException:
                await process.kill()
                for stream in (qmp, *ours):
                    stream.close()
                raise
            return process


def _make_disk(tool: str) -> bytes:
    try:
        with tempfile.TemporaryDirectory() as place:
            disk = Path(place) / "disk.qcow2"
            subprocess.run(
                [tool, "create", "-q", "-f", "qcow2", str(disk), "1M"],
                check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            )  # fmt: skip
            return disk.read_bytes()
    except (OSError, subprocess.CalledProcessError) as error:
        said = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else error
        raise QemuStartError(f"making an empty disk by {tool}: {said}") from error


class LocalQemu(Supervised):
    """A QEMU on this machine."""

    def __init__(
        self,
        qmp: socket.socket,
        consoles: Sequence[socket.socket],
        argv: Sequence[str],
        *,
        tracefs_root: Path | None = None,
    ) -> None:
        super().__init__(argv, what="QEMU", tracefs_root=tracefs_root)
        self.qmp = qmp
        self.consoles = consoles
        self._cpus = OUR_CPUS
        self._pins: list[int] = []

    async def vcpu_cpu_ns(self, thread_id: int) -> int:
        """Return the CPU time of a vCPU thread; see `QemuProcess.vcpu_cpu_ns`."""
        return cpu_ns(self.pid, thread_id)

    async def waited_ns(self, besides: Collection[int]) -> int:
        """Return the threads' time on run queues; see `QemuProcess.waited_ns`."""
        return waited_ns(self.pid, besides)

    async def pin(self, thread_id: int) -> int | None:
        """Pin a vCPU thread to a CPU that no other one has, the last first; else to None."""
        cpu = self._cpus.take(self._pins)
        if cpu is None:
            return None
        try:
            os.sched_setaffinity(thread_id, {cpu})
        except OSError:
            return None
        return cpu

    async def kill(self) -> QemuExit:
        """End it; its CPUs are free again."""
        self._cpus.give_back(self._pins)
        return await super().kill()
