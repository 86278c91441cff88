"""`savevm` and `loadvm` of the human monitor: every QEMU has them."""

from orchestrator.vm.monitor import Monitor

#: A loaded host writes slowly; a QEMU that takes longer than this is broken.
DEADLINE_NS = 30_000_000_000


class HmpSnapshots:
    """Snapshots by HMP; each command prints nothing when it succeeds."""

    async def save(self, monitor: Monitor, tag: str) -> None:
        """Run `savevm`."""
        await monitor.hmp_do(f"savevm {tag}", deadline_ns=DEADLINE_NS)

    async def load(self, monitor: Monitor, tag: str) -> None:
        """Run `loadvm`."""
        await monitor.hmp_do(f"loadvm {tag}", deadline_ns=DEADLINE_NS)

    async def delete(self, monitor: Monitor, tag: str) -> None:
        """Run `delvm`."""
        await monitor.hmp_do(f"delvm {tag}", deadline_ns=DEADLINE_NS)
