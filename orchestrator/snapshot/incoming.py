"""Migration to a file by `exec:`; loaded by `-incoming URI`, in every QEMU."""

from orchestrator.snapshot.exec import ExecSnapshots
from orchestrator.vm.machine import Machine


class IncomingSnapshots(ExecSnapshots):
    """Migration into a QEMU that loads as it starts."""

    async def load(self, machine: Machine, tag: str) -> None:
        """Start a QEMU with `-incoming URI`."""
        await self.load_at_start(machine, tag)
