"""Chooses a method's implementation."""

from orchestrator.errors import UnfitError
from orchestrator.host.facts import QemuFacts
from orchestrator.snapshot import Method, Snapshots
from orchestrator.snapshot.hmp import HmpSnapshots
from orchestrator.snapshot.jobs import JobSnapshots


class MethodMissingError(UnfitError):
    """The QEMU does not have the method."""


def snapshots(method: Method, qemu: QemuFacts) -> Snapshots:
    """Return a method's implementation.

    Raises:
        MethodMissingError: this QEMU lacks it.
    """
    if method is Method.HMP:
        return HmpSnapshots()
    if not qemu.has_snapshot_jobs:
        raise MethodMissingError(
            f"QEMU {qemu.version} has no snapshot-save and snapshot-load (they came with 6.0): "
            "use --method hmp, or a newer QEMU with --qemu"
        )
    return JobSnapshots()
