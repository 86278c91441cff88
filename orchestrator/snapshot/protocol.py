"""Ways to save and load a machine's state, one a file, behind one protocol."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # keeps `losttick --help` from importing the monitor
    from orchestrator.vm.machine import Machine


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
