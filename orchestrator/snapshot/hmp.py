"""`savevm` and `loadvm` of the human monitor, which every QEMU has."""

from orchestrator.vm.instance import Instance


class HmpSnapshots:
    """Snapshots by HMP commands, which print nothing if they succeed."""

    needs_disk = True
    spawns = False
    new_process = False
    loads_at_start = False

    async def save(self, instance: Instance, tag: str) -> None:
        """Run `savevm`."""
        await _do(instance, f"savevm {tag}")

    async def load(self, instance: Instance, tag: str) -> None:
        """Run `loadvm`."""
        await _do(instance, f"loadvm {tag}")

    async def delete(self, instance: Instance, tag: str) -> None:
        """Run `delvm`."""
        await _do(instance, f"delvm {tag}")


async def _do(instance: Instance, line: str) -> None:
    await instance.monitor.hmp_do(line, deadline_ns=instance.monitor.deadlines.state_ns)
