"""The machine that losttick itself runs on."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from orchestrator.errors import InputError, UnfitError
from orchestrator.guest.firmware import MAX_VCPUS
from orchestrator.host import pressure, tracefs
from orchestrator.host.chardevs import chardev_args
from orchestrator.host.cpus import OUR_CPUS
from orchestrator.host.facts import HostFacts, QemuFacts
from orchestrator.host.local_facts import read_facts
from orchestrator.host.protocol import QemuExit, QemuStartError
from orchestrator.host.supervised import Supervised
from orchestrator.vm.argv import DEFAULT_QEMU

#: Room for a burst of one-byte writes: each costs the kernel a whole buffer.
SOCKET_BUFFER_BYTES = 4 * 1024 * 1024


class LocalClock:
    """CLOCK_MONOTONIC."""

    def now_ns(self) -> int:
        """Return monotonic nanoseconds."""
        return time.monotonic_ns()

    def wall_s(self, ns: int) -> float:
        """Return the same span in seconds."""
        return ns / 1e9


class NoQemuError(UnfitError):
    """QEMU, or a tool that comes with it, is not installed."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"looking for QEMU: there is no {name} on PATH. "
            "`losttick doctor --fix` installs it (as root), "
            "or apt-get install qemu-system-x86 qemu-utils."
        )


class NotQemuError(InputError):
    """The QEMU that was named is not there."""


def find_qemu(wanted: str | None) -> str:
    """Return the path of the QEMU binary: the one that is wanted, or the one on PATH.

    Raises:
        NotQemuError: the one that is wanted is not there.
        NoQemuError: there is none on PATH.
    """
    name = wanted or DEFAULT_QEMU
    found = shutil.which(name)
    if found is not None:
        return str(Path(found).absolute())
    if wanted:
        raise NotQemuError(f"looking for QEMU: {wanted!r} is not an executable file")
    raise NoQemuError(name)


class LocalHost:
    """The machine itself, with one QEMU binary."""

    def __init__(self, qemu: str | None = None, *, qemu_prefix: Sequence[str] = ()) -> None:
        """Find QEMU.

        Args:
            qemu: path or name of the binary; the one on PATH by default.
            qemu_prefix: a command that runs it, such as a dynamic loader with its library path.

        Raises:
            NoQemuError, NotQemuError: it is not there.
        """
        self.clock = LocalClock()
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


def cpu_ns(pid: int, thread_id: int) -> int:
    """Return the CPU time that a thread has used, in nanoseconds.

    From `schedstat`, to the scheduler tick (up to 4 ms late); from `stat` where the
    kernel was built without it (10 ms).

    Raises:
        ProcessLookupError: the thread is gone.
    """
    task = Path(f"/proc/{pid}/task/{thread_id}")
    with contextlib.suppress(FileNotFoundError):
        ran, waited, slices = map(int, (task / "schedstat").read_bytes().split())
        if ran or waited or slices:  # all 0: a kernel that does not count
            return ran
    try:
        fields = (task / "stat").read_bytes().rpartition(b")")[2].split()
    except FileNotFoundError:
        raise ProcessLookupError(f"thread {thread_id} of QEMU {pid} is gone") from None
    return (int(fields[11]) + int(fields[12])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def waited_ns(pid: int, besides: Collection[int]) -> int:
    """Return how long a process's threads, besides some, have waited on run queues, in ns.

    From `schedstat`; 0 where the kernel does not count it.
    """
    total = 0
    with contextlib.suppress(FileNotFoundError):  # the process has ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            if int(task.name) not in besides:
                with contextlib.suppress(OSError):
                    total += int((task / "schedstat").read_text().split()[1])
    return total
