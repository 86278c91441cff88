"""Ways to save and load a machine's state, one a file, behind one protocol."""

import enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # keeps `losttick --help` from importing the monitor
    from orchestrator.vm.machine import Machine


class Method(enum.StrEnum):
    """How state is saved and loaded."""

    HMP = "hmp"
    """`savevm` and `loadvm` of the human monitor: in every QEMU."""
    JOBS = "jobs"
    """QMP `snapshot-save` and `snapshot-load`: since QEMU 6.0."""
    LOADVM = "loadvm"
    """`savevm`; then a new QEMU with `-loadvm`."""
    EXEC = "exec"
    """Migration to a file by `exec:`; then a new QEMU, `-incoming defer` and `migrate-incoming`."""
    FILE = "file"
    """The same by `file:`: since QEMU 8.2."""
    MAPPED_RAM = "mapped-ram"
    """The same, with each page at its own place in the file: since QEMU 9.0."""
    INCOMING = "incoming"
    """Migration to a file; then a new QEMU with `-incoming URI`, which loads as it starts."""


class CycleKind(enum.StrEnum):
    """Which guests are saved, and how often a save is loaded."""

    REPEAT = "repeat"
    """Save once, load up to n times; then the next save."""
    FRESH = "fresh"
    """Save and load each time; what is saved is a guest that was never loaded."""
    CHAIN = "chain"
    """Load, run, save, load …: each save is of the guest that the load before gave."""


class Snapshots(Protocol):
    """Saves and loads the state of a stopped machine."""

    @property
    def needs_disk(self) -> bool:
        """Whether it keeps state on the machine's disk."""
        ...

    @property
    def new_process(self) -> bool:
        """Whether a load takes a new QEMU: the machine's old one then ends, running or not."""
        ...

    async def save(self, machine: "Machine", tag: str) -> None:
        """Save the state of a stopped machine under a name.

        Raises:
            MonitorError: QEMU did not do it.
        """
        ...

    async def load(self, machine: "Machine", tag: str) -> None:
        """Load it again; the machine then stands still, though perhaps in another QEMU.

        Raises:
            MonitorError: QEMU did not do it.
            QemuStartError: the new QEMU did not start, or ended before it had loaded.
        """
        ...

    async def delete(self, machine: "Machine", tag: str) -> None:
        """Remove it.

        Raises:
            MonitorError: QEMU did not do it.
        """
        ...
