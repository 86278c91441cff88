"""Migration to a file through `exec:`; loaded by `-incoming URI`, which every QEMU has."""

from orchestrator.snapshot.exec import ExecSnapshots
from orchestrator.vm.instance import Instance


class IncomingSnapshots(ExecSnapshots):
    """Migration into a QEMU that loads as it starts."""

    loads_at_start = True

    async def load(self, instance: Instance, tag: str) -> None:
        """Start a QEMU with `-incoming URI`."""
        await self.load_at_start(instance, tag)
