"""Ways to save and load a machine's state, one a file, behind one protocol."""

import enum
from typing import Protocol

from orchestrator.errors import UnfitError
from orchestrator.host.facts import QemuFacts
from orchestrator.snapshot.hmp import HmpSnapshots
from orchestrator.snapshot.jobs import JobSnapshots
from orchestrator.vm.monitor import Monitor


class Method(enum.StrEnum):
    """How state is saved and loaded."""

    HMP = "hmp"
    """`savevm` and `loadvm` of the human monitor: in every QEMU."""
    JOBS = "jobs"
    """QMP `snapshot-save` and `snapshot-load`: since QEMU 6.0."""


class Snapshots(Protocol):
    """Saves and loads the state of a stopped machine."""

    async def save(self, monitor: Monitor, tag: str) -> None:
        """Save the machine's state under a name.

        Raises:
            MonitorError: QEMU did not do it.
        """
        ...

    async def load(self, monitor: Monitor, tag: str) -> None:
        """Load it again; the machine stays stopped.

        Raises:
            MonitorError: QEMU did not do it.
        """
        ...

    async def delete(self, monitor: Monitor, tag: str) -> None:
        """Remove it.

        Raises:
            MonitorError: QEMU did not do it.
        """
        ...


class MethodMissingError(UnfitError):
    """This QEMU does not have the method."""


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
