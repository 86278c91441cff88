"""Ways to save and load a machine's state, one a file, behind one protocol."""

import enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # keeps `losttick --help` from importing the monitor
    from orchestrator.vm.monitor import Monitor


class Method(enum.StrEnum):
    """How state is saved and loaded."""

    HMP = "hmp"
    """`savevm` and `loadvm` of the human monitor: in every QEMU."""
    JOBS = "jobs"
    """QMP `snapshot-save` and `snapshot-load`: since QEMU 6.0."""


class Snapshots(Protocol):
    """Saves and loads the state of a stopped machine."""

    async def save(self, monitor: "Monitor", tag: str) -> None:
        """Save the machine's state under a name.

        Raises:
            MonitorError: QEMU did not do it.
        """
        ...

    async def load(self, monitor: "Monitor", tag: str) -> None:
        """Load it again; the machine stays stopped.

        Raises:
            MonitorError: QEMU did not do it.
        """
        ...

    async def delete(self, monitor: "Monitor", tag: str) -> None:
        """Remove it.

        Raises:
            MonitorError: QEMU did not do it.
        """
        ...
