"""The computer that losttick itself runs on, as a host."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from orchestrator.clock import DEFAULT_DEADLINES, Deadlines, LocalClock
from orchestrator.errors import InfraError
from orchestrator.host import pressure, tracefs
from orchestrator.host.attached_qemu import AttachedQemu
from orchestrator.host.empty_disk import make_empty_disk
from orchestrator.host.errors import NoQemuError
from orchestrator.host.facts import HostFacts
from orchestrator.host.local_facts import read_facts
from orchestrator.host.local_qemu import LocalBinary, LocalQemu
from orchestrator.host.qemu_binary import find_qemu, read_qemu_facts
from orchestrator.host.qemu_user import QemuUser, choose_user
from orchestrator.process.background import in_thread

#: QEMU can have many more; no guest needs as many.
MAX_CONSOLES = 64


class LocalHost:
    """The computer itself, with one QEMU binary. Made by `open_host`."""

    def __init__(
        self,
        binary: LocalBinary,
        facts: HostFacts,
        deadlines: Deadlines,
        user: QemuUser | None = None,
    ) -> None:
        self.clock = LocalClock()
        self.deadlines = deadlines
        self.facts = facts
        """Identity of this computer and of its QEMU, read when the host was opened."""
        self.user = user or QemuUser("")
        """The user as whom QEMU runs."""
        self.trouble: InfraError | None = None
        """Always None: losttick ends together with its own computer."""
        self.max_consoles = MAX_CONSOLES
        self.slow_uart = False
        self._binary = binary
        self._disk: bytes | None = None

    async def read_file(self, path: str) -> str:
        """Return a text file."""
        return await asyncio.to_thread(Path(path).read_text, errors="replace")

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
            ToolError: qemu-img failed.
        """
        if self._disk is None:
            if shutil.which("qemu-img") is None:
                raise NoQemuError("qemu-img")
            self._disk = await in_thread(make_empty_disk, ["qemu-img"])
        return self._disk

    async def start_qemu(
        self, args: Sequence[str], files: Mapping[str, bytes], *, consoles: int = 1
    ) -> LocalQemu:
        """Start QEMU under a supervisor; see `Host.start_qemu`."""
        return await self._binary.start_qemu(args, files, consoles=consoles)

    async def attach_qemu(self, qmp: str, consoles: Sequence[str]) -> AttachedQemu:
        """Connect to a running QEMU; see `AttachingHost.attach_qemu`."""
        return AttachedQemu.connect(qmp, consoles)


@contextlib.asynccontextmanager
async def open_host(
    qemu: str | None = None,
    *,
    qemu_prefix: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    deadlines: Deadlines = DEFAULT_DEADLINES,
    qemu_user: str | None = None,
) -> AsyncIterator[LocalHost]:
    """Find QEMU on this computer, ask it what it is, and give the host.

    Args:
        qemu: path or name of the binary; by default `qemu-system-x86_64` on PATH.
        qemu_prefix: a command that runs the binary, such as a dynamic loader.
        environment: variables to add to QEMU's environment.
        deadlines: how long each kind of step may take.
        qemu_user: name or number of the user as whom QEMU runs. By default this is losttick's
            own user, or a user without privileges if that is root.

    Raises:
        NoQemuError: QEMU is not installed.
        NotQemuError: the named QEMU is not there.
        QemuUserError: QEMU can't run as this user.
        QemuStartError: the binary does not start, or does not answer as QEMU does.
    """
    trace_root = tracefs.find()
    path = find_qemu(qemu)
    user = await choose_user(qemu_user, (*qemu_prefix, path), environment or {})
    binary = LocalBinary(path, tuple(qemu_prefix), environment, trace_root, user.run_as)
    qemu_facts = await read_qemu_facts(binary, LocalClock(), deadlines)
    facts = await asyncio.to_thread(read_facts, qemu_facts, trace_root, user.name)
    yield LocalHost(binary, facts, deadlines, user)
