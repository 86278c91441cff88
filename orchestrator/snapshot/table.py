"""Chooses the implementation of a method."""

from orchestrator.errors import UnfitError
from orchestrator.host.facts import QemuFacts
from orchestrator.snapshot.exec import ExecSnapshots
from orchestrator.snapshot.file import FileSnapshots
from orchestrator.snapshot.hmp import HmpSnapshots
from orchestrator.snapshot.incoming import IncomingSnapshots
from orchestrator.snapshot.jobs import JobSnapshots
from orchestrator.snapshot.loadvm import LoadvmSnapshots
from orchestrator.snapshot.mapped_ram import MappedRamSnapshots
from orchestrator.snapshot.method import Method
from orchestrator.snapshot.protocol import Snapshots

_CLASSES: dict[Method, type[Snapshots]] = {
    Method.HMP: HmpSnapshots,
    Method.JOBS: JobSnapshots,
    Method.LOADVM: LoadvmSnapshots,
    Method.EXEC: ExecSnapshots,
    Method.FILE: FileSnapshots,
    Method.MAPPED_RAM: MappedRamSnapshots,
    Method.INCOMING: IncomingSnapshots,
}


class MethodMissingError(UnfitError):
    """The QEMU does not have the method."""

    def __init__(self, qemu: QemuFacts, lacking: str, instead: Method) -> None:
        super().__init__(
            f"QEMU {qemu.version} has no {lacking}: "
            f"use --method {instead}, or a newer QEMU with --qemu"
        )


def snapshots(method: Method, qemu: QemuFacts) -> Snapshots:
    """Return the implementation of a method.

    Raises:
        MethodMissingError: this QEMU lacks the method.
    """
    if method is Method.JOBS and not qemu.has_snapshot_jobs:
        lacking = "snapshot-save and snapshot-load (they came with 6.0)"
        raise MethodMissingError(qemu, lacking, Method.HMP)
    if method in (Method.FILE, Method.MAPPED_RAM) and "file" not in qemu.migration:
        lacking = "migration by file: (it came with 8.2)"
        raise MethodMissingError(qemu, lacking, Method.EXEC)
    if method is Method.MAPPED_RAM and "mapped-ram" not in qemu.migration:
        lacking = "mapped-ram (it came with 9.0)"
        raise MethodMissingError(qemu, lacking, Method.FILE)
    return _CLASSES[method]()
