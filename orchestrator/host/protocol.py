"""Everything that the rest of losttick may ask of a host.

Trial, diagnosis and campaign speak to a host through these protocols only. They
never read a clock, a pid or /proc themselves: a host may be an emulated computer
with its own clock, reached over serial lines.
"""

import socket
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

from orchestrator.clock import Clock, Deadlines
from orchestrator.errors import InfraError
from orchestrator.host.facts import HostFacts
from orchestrator.process.exit import ProcessExit

#: Name of the file in QEMU's own folder into which QEMU dumps memory.
DUMP_FILE = "state.bin"


class Tracer(Protocol):
    """Kernel tracepoints of the host, recorded while a QEMU runs."""

    def watch(self, thread_ids: Collection[int]) -> None:
        """Record only what happens in these threads, from now on."""
        ...

    def mark(self, text: str) -> None:
        """Write a marker into the recording."""
        ...

    async def read(self) -> str:
        """Return the events since the last load, as the kernel prints them.

        The first line names the events that were recorded. The recording of a load may be
        preceded by older events.
        """
        ...

    def close(self) -> None:
        """Stop recording and remove the trace instance."""
        ...


class QemuProcess(Protocol):
    """One running QEMU."""

    @property
    def qmp(self) -> socket.socket:
        """The connected stream to its monitor."""
        ...

    @property
    def consoles(self) -> Sequence[socket.socket]:
        """The connected streams from its guest's consoles."""
        ...

    @property
    def argv(self) -> Sequence[str]:
        """The command line that was run."""
        ...

    @property
    def dump_file(self) -> str:
        """Name under which QEMU writes, and `read_file` reads, a dump of the guest's memory."""
        ...

    @property
    def tracer(self) -> Tracer | None:
        """Tracepoints recorded while it runs; None where the host has no usable tracefs."""
        ...

    async def vcpu_cpu_ns(self, thread_id: int) -> int:
        """Return the CPU time that a vCPU thread has used, in nanoseconds.

        Raises:
            ProcessLookupError: the thread is gone.
        """
        ...

    async def vcpu_run_delay_ns(self, thread_id: int) -> int | None:
        """Return how long a vCPU thread has waited for a CPU while it could run, in ns.

        None unless the thread sleeps at this moment, and None if the host does not count run
        delays. A thread that sleeps at two moments, with the same CPU time and run delay, has
        slept all the time between them.

        Raises:
            ProcessLookupError: the thread is gone.
        """
        ...

    async def waited_ns(self, besides: Collection[int]) -> int:
        """Return how long QEMU's threads, except `besides`, have waited for a CPU, in ns."""
        ...

    async def pin(self, thread_id: int, cpu: int | None = None) -> int | None:
        """Pin a vCPU thread to one CPU; return that CPU, or None if pinning is not possible.

        Args:
            thread_id: the thread.
            cpu: the CPU, which another QEMU of this run has; by default one that no other has.
        """
        ...

    async def read_file(self, name: str) -> bytes:
        """Return a file from QEMU's working folder."""
        ...

    async def exited(self) -> ProcessExit:
        """Wait until QEMU has ended, and return how."""
        ...

    async def kill(self) -> ProcessExit:
        """End QEMU at once and remove its folder. The caller closes the streams."""
        ...


class Host(Protocol):
    """A computer, real or emulated, on which QEMU can be started."""

    @property
    def clock(self) -> Clock:
        """The host's clock."""
        ...

    @property
    def deadlines(self) -> Deadlines:
        """How long each kind of step may take on this host."""
        ...

    @property
    def facts(self) -> HostFacts:
        """Identity of this host and of its QEMU, read when the host was opened."""
        ...

    @property
    def trouble(self) -> InfraError | None:
        """How the host itself ended; None as long as it can be used."""
        ...

    @property
    def max_consoles(self) -> int:
        """Largest number of consoles that a QEMU can have here."""
        ...

    @property
    def slow_uart(self) -> bool:
        """Whether a guest should print to a debug port, if it can, instead of a UART.

        QEMU updates a UART's interrupt line after each byte, by four system calls.
        """
        ...

    async def start_qemu(
        self, args: Sequence[str], files: Mapping[str, bytes], *, consoles: int = 1
    ) -> QemuProcess:
        """Start QEMU in a new folder that holds `files`.

        Args:
            args: arguments that follow those of the character devices (`chardevs.py`).
            files: content by name, put into QEMU's working folder.
            consoles: number of streams for what the guest prints, at most `max_consoles`.

        Raises:
            QemuStartError: there is no QEMU, or it could not be run.
        """
        ...

    async def empty_disk(self) -> bytes:
        """Return an empty qcow2 image, to hold the VM state of snapshots."""
        ...

    async def read_file(self, path: str) -> str:
        """Return a text file of the host.

        Raises:
            OSError: it can't be read.
        """
        ...

    async def pressure_percent(self) -> float | None:
        """Return the share of the last 10 s in which some task waited for a CPU, in percent.

        Returns None if the host does not count this.
        """
        ...


class AttachedProcess(QemuProcess, Protocol):
    """A running QEMU that somebody else started. `exited` and `kill` raise NotOwnedError."""

    async def release(self) -> None:
        """Undo the pinning, and remove what losttick made. The caller closes the streams."""
        ...


@runtime_checkable
class AttachingHost(Protocol):
    """A host that can also attach to a QEMU that is running already."""

    async def attach_qemu(self, qmp: str, consoles: Sequence[str]) -> AttachedProcess:
        """Connect to a running QEMU.

        Args:
            qmp: path of the Unix socket on which its monitor listens for QMP.
            consoles: paths of the Unix sockets on which its guest's consoles listen.

        Raises:
            QemuSocketError: a socket cannot be connected.
        """
        ...
