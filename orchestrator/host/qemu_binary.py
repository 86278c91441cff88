"""A QEMU binary: where it is, what it is and what it can do, asked of the binary itself."""

import asyncio
import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from orchestrator.errors import InputError, UnfitError
from orchestrator.host.chardevs import QMP_CHARDEV
from orchestrator.host.facts import QemuFacts
from orchestrator.host.protocol import Host, QemuStartError
from orchestrator.qmp.errors import MonitorError
from orchestrator.qmp.monitor import Monitor


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


#: Looked for on PATH.
DEFAULT_QEMU = "qemu-system-x86_64"


class _HasQemu(Host, Protocol):
    @property
    def qemu(self) -> str: ...


async def probe_qemu(host: _HasQemu) -> QemuFacts:
    """Start the binary without a machine and ask it.

    Raises:
        QemuStartError: it does not start, or it is not QEMU.
    """
    process = await host.start_qemu(
        ["-nodefaults", "-no-user-config", "-display", "none", "-machine", "none",
         "-mon", f"chardev={QMP_CHARDEV},mode=control"], {},
    )  # fmt: skip
    monitor = None
    try:
        monitor = await Monitor.connect(process.qmp, host.clock, host.deadlines)
        version = await monitor.execute("query-version")
        commands = await monitor.execute("query-commands")
        kvm = await monitor.execute("query-kvm")
        capabilities = await monitor.execute("query-migrate-capabilities")
        schema = await monitor.execute("query-qmp-schema")
    except MonitorError as error:
        end = await process.kill()
        raise QemuStartError(
            f"asking {host.qemu} what it is: it does not answer as QEMU does ({error.seen}). "
            f"It ended with {end}"
        ) from error
    finally:
        await process.kill()
        if monitor:
            await monitor.close()
        process.qmp.close()
        for console in process.consoles:
            console.close()
    sha256 = await asyncio.to_thread(_sha256, host.qemu)
    try:
        numbers = version["qemu"]
        package = version["package"].strip()
        return QemuFacts(
            path=host.qemu,
            version=f"{numbers['major']}.{numbers['minor']}.{numbers['micro']}"
            + (f" ({package.strip('()')})" if package else ""),
            sha256=sha256,
            accelerators=("kvm", "tcg") if kvm["present"] else ("tcg",),
            commands=frozenset(command["name"] for command in commands),
            migration=frozenset(each["capability"] for each in capabilities) | _transports(schema),
        )
    except (KeyError, TypeError) as error:
        raise QemuStartError(f"probing {host.qemu}: its answers are not QEMU's: {error}") from error


def _transports(schema: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Return what `migrate` can send through, by QMP's own description.

    The schema hides the names of types. `MigrationAddressType` (QEMU 8.2 on) is known by
    two of its values; before, transports were words that only the parser of URIs knew.
    """
    return frozenset(
        value
        for entity in schema
        if entity["meta-type"] == "enum" and {"socket", "exec"} <= set(entity["values"])
        for value in entity["values"]
    )


def _sha256(path: str) -> str:
    try:
        with Path(path).open("rb") as binary:
            return hashlib.file_digest(binary, "sha256").hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"
