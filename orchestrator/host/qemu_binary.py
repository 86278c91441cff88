"""A QEMU binary: where it is, and what it says that it is and can do."""

import asyncio
import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from orchestrator.clock import Clock, Deadlines
from orchestrator.host.chardevs import QMP_CHARDEV
from orchestrator.host.errors import NoQemuError, NotQemuError, QemuStartError
from orchestrator.host.facts import QemuFacts
from orchestrator.host.protocol import QemuProcess
from orchestrator.host.waits import why_waited
from orchestrator.qmp.answers import (
    CommandInfo,
    CommandLineOptionInfo,
    KvmInfo,
    MachineInfo,
    MigrationCapabilityStatus,
    SchemaInfo,
    VersionInfo,
)
from orchestrator.qmp.errors import (
    AnswerError,
    CommandFailedError,
    MonitorError,
    MonitorTimeoutError,
)
from orchestrator.qmp.monitor import Monitor

#: The parts of `-sandbox` that losttick uses. QEMUs before 2.11 have fewer.
_SANDBOX = {"obsolete", "elevateprivileges", "spawn", "resourcecontrol"}

#: Name of the binary that is looked for on PATH.
DEFAULT_QEMU = "qemu-system-x86_64"


class QemuBinary(Protocol):
    """A QEMU binary that can be started."""

    @property
    def path(self) -> str:
        """Where the binary is."""
        ...

    async def start_qemu(
        self, args: Sequence[str], files: Mapping[str, bytes], *, consoles: int = 1
    ) -> QemuProcess:
        """Start the binary; see `Host.start_qemu`."""
        ...


def find_qemu(wanted: str | None) -> str:
    """Return the path of the QEMU binary: the wanted one, or the one on PATH.

    Raises:
        NotQemuError: the wanted one is not there.
        NoQemuError: there is none on PATH.
    """
    name = wanted or DEFAULT_QEMU
    found = shutil.which(name)
    if found is not None:
        return str(Path(found).absolute())
    if wanted:
        raise NotQemuError(wanted)
    raise NoQemuError(name)


async def read_qemu_facts(binary: QemuBinary, clock: Clock, deadlines: Deadlines) -> QemuFacts:
    """Start a binary without a guest and ask it what it is.

    Raises:
        QemuStartError: the binary does not start, or it is not QEMU.
    """
    doing = f"asking {binary.path} what it is"
    process = await binary.start_qemu(
        ["-nodefaults", "-no-user-config", "-display", "none", "-machine", "none",
         "-mon", f"chardev={QMP_CHARDEV},mode=control"], {},
    )  # fmt: skip
    started_ns = clock.now_ns()
    hashing = asyncio.create_task(asyncio.to_thread(_sha256, binary.path))
    monitor = None
    try:
        monitor = await Monitor.connect(process.qmp, clock, deadlines)
        version = await monitor.ask("query-version", VersionInfo)
        commands = await monitor.ask("query-commands", list[CommandInfo])
        kvm = await monitor.ask("query-kvm", KvmInfo)
        capabilities = await monitor.ask(
            "query-migrate-capabilities", list[MigrationCapabilityStatus]
        )
        schema = await monitor.ask("query-qmp-schema", list[SchemaInfo])
        machines = await monitor.ask("query-machines", list[MachineInfo])
        sandbox = await _has_sandbox(monitor)
    except MonitorError as error:
        late = isinstance(error, MonitorTimeoutError)
        starved = await why_waited(process, clock.now_ns() - started_ns) if late else ""
        end = await process.kill()
        if starved:
            seen = f"{error.seen}, and {starved}. Run it again while the host is less busy"
            raise QemuStartError(seen, doing=doing, argv=process.argv, starved=True) from error
        seen = f"it does not answer as QEMU does ({error.seen})"
        raise QemuStartError(seen, doing=doing, end=end, argv=process.argv) from error
    finally:
        await process.kill()
        if monitor:
            await monitor.close()
        process.qmp.close()
        for console in process.consoles:
            console.close()
        sha256 = await hashing
    package = version.package.strip()
    return QemuFacts(
        path=binary.path,
        version=str(version.qemu) + (f" ({package.strip('()')})" if package else ""),
        sha256=sha256,
        accelerators=("kvm", "tcg") if kvm.present else ("tcg",),
        commands=frozenset(each.name for each in commands),
        migration=frozenset(each.capability for each in capabilities) | _transports(schema),
        machines=tuple(sorted(each.name for each in machines)),
        machine_aliases={each.alias: each.name for each in machines if each.alias is not None},
        sandbox=sandbox,
    )


async def _has_sandbox(monitor: Monitor) -> bool:
    """Return whether QEMU has `-sandbox`: it is built with seccomp, and the kernel has it too.

    Raises:
        MonitorError: QEMU did not answer.
    """
    command, sandbox = "query-command-line-options", {"option": "sandbox"}
    try:
        answer = await monitor.ask(command, list[CommandLineOptionInfo], sandbox)
    except (CommandFailedError, AnswerError):
        return False
    return {part.name for option in answer for part in option.parameters} >= _SANDBOX


def _transports(schema: Sequence[SchemaInfo]) -> frozenset[str]:
    """Return the transports of `migrate`, from QMP's own description.

    The schema hides the names of types, so `MigrationAddressType` (QEMU 8.2 on) is recognized
    by two of its values. Older QEMUs do not describe their transports.
    """
    return frozenset(
        value
        for entity in schema
        if entity.meta_type == "enum" and {"socket", "exec"} <= set(entity.values)
        for value in entity.values
    )


def _sha256(path: str) -> str:
    try:
        with Path(path).open("rb") as binary:
            return hashlib.file_digest(binary, "sha256").hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"
