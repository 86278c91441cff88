"""The protocol of all methods to save and load the state of an instance."""

from typing import Protocol

from orchestrator.vm.instance import Instance


class Snapshots(Protocol):
    """Saves and loads the state of a stopped instance."""

    @property
    def needs_disk(self) -> bool:
        """True if the method keeps state on the instance's disk."""
        ...

    @property
    def new_process(self) -> bool:
        """True if each load starts a new QEMU. The instance's old QEMU then ends."""
        ...

    @property
    def loads_at_start(self) -> bool:
        """True if that QEMU loads as it starts. Its threads are then pinned at the next save."""
        ...

    @property
    def spawns(self) -> bool:
        """True if QEMU starts other programs to save or to load."""
        ...

    async def save(self, instance: Instance, tag: str) -> None:
        """Save the state of a stopped instance under the name `tag`.

        Raises:
            MonitorError: QEMU did not save the state.
        """
        ...

    async def load(self, instance: Instance, tag: str) -> None:
        """Load the state. The instance is then stopped, perhaps in another QEMU.

        Raises:
            MonitorError: QEMU did not load the state.
            QemuStartError: the new QEMU did not start, or ended before it had loaded.
        """
        ...

    async def delete(self, instance: Instance, tag: str) -> None:
        """Remove the saved state.

        Raises:
            MonitorError: QEMU did not remove the state.
        """
        ...
