"""Ways to save and load an instance's state, one a file, behind one protocol."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # keeps `losttick --help` from importing the monitor
    from orchestrator.vm.instance import Instance


class Snapshots(Protocol):
    """Saves and loads the state of a stopped instance."""

    @property
    def needs_disk(self) -> bool:
        """Whether it keeps state on the instance's disk."""
        ...

    @property
    def new_process(self) -> bool:
        """Whether a load takes a new QEMU: the instance's old one then ends, running or not."""
        ...

    async def save(self, instance: "Instance", tag: str) -> None:
        """Save the state of a stopped instance under a name.

        Raises:
            MonitorError: QEMU did not do it.
        """
        ...

    async def load(self, instance: "Instance", tag: str) -> None:
        """Load it again; the instance then stands still, though perhaps in another QEMU.

        Raises:
            MonitorError: QEMU did not do it.
            QemuStartError: the new QEMU did not start, or ended before it had loaded.
        """
        ...

    async def delete(self, instance: "Instance", tag: str) -> None:
        """Remove it.

        Raises:
            MonitorError: QEMU did not do it.
        """
        ...
