"""A snapshot on a disk; then a new QEMU with `-loadvm` on a copy of the disk."""

from orchestrator.qmp.errors import AnswerError
from orchestrator.snapshot.hmp import HmpSnapshots
from orchestrator.snapshot.jobs import JobSnapshots
from orchestrator.snapshot.state_file import read_state_file
from orchestrator.vm.argv import DISK_FILE
from orchestrator.vm.instance import Instance


class LoadvmSnapshots:
    """Snapshots by HMP, each loaded by a new QEMU as it starts.

    QEMU locks its disk images, so two QEMUs can't open the same disk. The new QEMU gets a
    copy of the disk as it was after the save.
    """

    needs_disk = True
    spawns = False
    new_process = True
    loads_at_start = True

    def __init__(self) -> None:
        self._saves: HmpSnapshots | JobSnapshots = HmpSnapshots()

    async def save(self, instance: Instance, tag: str) -> None:
        """Take the snapshot, and copy the disk."""
        await self._saves.save(instance, tag)
        # In a stopped instance, `stop` only flushes the disks: QEMU then writes its cached
        # qcow2 tables to the file (vm_stop_force_state in QEMU's system/cpus.c).
        await instance.stop()
        try:
            instance.states[tag] = await read_state_file(instance, "savevm", DISK_FILE)
        except FileNotFoundError:
            raise AnswerError("savevm", f"its file {DISK_FILE} is gone") from None

    async def load(self, instance: Instance, tag: str) -> None:
        """Start a QEMU with `-loadvm`."""
        disk = {DISK_FILE: instance.states[tag]}
        await instance.replace_qemu(("-loadvm", tag), disk, pin=False)

    async def delete(self, instance: Instance, tag: str) -> None:
        """Forget the copy, and delete the snapshot on the instance's own disk."""
        del instance.states[tag]
        await self._saves.delete(instance, tag)


class JobLoadvmSnapshots(LoadvmSnapshots):
    """Snapshots by jobs, each loaded by a new QEMU as it starts."""

    def __init__(self) -> None:
        self._saves = JobSnapshots()
