"""Saves by the job `snapshot-save`; loads by `loadvm` of the human monitor."""

from orchestrator.snapshot.hmp import HmpSnapshots
from orchestrator.snapshot.jobs import JobSnapshots
from orchestrator.vm.instance import Instance


class JobHmpSnapshots(JobSnapshots):
    """Snapshots by a job, loaded by HMP. `loadvm` itself looks for the disk with the VM state."""

    def __init__(self) -> None:
        super().__init__()
        self._hmp = HmpSnapshots()

    async def load(self, instance: Instance, tag: str) -> None:
        """Run `loadvm`."""
        await self._hmp.load(instance, tag)
