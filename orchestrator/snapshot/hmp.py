"""`savevm` and `loadvm` of the human monitor: every QEMU has them."""

from orchestrator.vm.instance import Instance

#: A loaded host writes slowly; a QEMU that takes longer than this is broken.
DEADLINE_NS = 30_000_000_000


class HmpSnapshots:
    """Snapshots by HMP; each command prints nothing when it succeeds."""

    needs_disk = True
    new_process = False

    async def save(self, instance: Instance, tag: str) -> None:
        """Run `savevm`."""
        await instance.monitor.hmp_do(f"savevm {tag}", deadline_ns=DEADLINE_NS)

    async def load(self, instance: Instance, tag: str) -> None:
        """Run `loadvm`."""
        await instance.monitor.hmp_do(f"loadvm {tag}", deadline_ns=DEADLINE_NS)

    async def delete(self, instance: Instance, tag: str) -> None:
        """Run `delvm`."""
        await instance.monitor.hmp_do(f"delvm {tag}", deadline_ns=DEADLINE_NS)
