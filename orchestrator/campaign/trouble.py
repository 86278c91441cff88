"""Failures of one instance that do not end its cell."""

from orchestrator.errors import InfraError
from orchestrator.host.errors import QemuStartError
from orchestrator.host.protocol import Host
from orchestrator.qmp.errors import MonitorError
from orchestrator.trial.aim import NoSaveError
from orchestrator.vm.launch import GuestStartError
from orchestrator.vm.starved import GuestStarvedError

#: The next instance may do better.
INSTANCE_TROUBLE = (NoSaveError, MonitorError, QemuStartError, GuestStartError, GuestStarvedError)

#: A cell is given up after this many instances in a row without a trial.
MAX_BARREN_INSTANCES = 3


def check_host(host: Host, error: InfraError) -> None:
    """Raise how the host itself ended, if the failure of an instance is due to that.

    Nothing can be tried again there, and the failure does not say so.

    Raises:
        InfraError: the host has ended.
    """
    if host.trouble is not None:
        raise host.trouble from error


class LastTroubleError(InfraError):
    """Several tries in a row came to nothing."""

    def __init__(self, said: str, last: InfraError) -> None:
        """Build the message.

        Args:
            said: what came to nothing, and how often.
            last: the error of the last try.
        """
        self.last = last
        super().__init__(f"{said}: {last}")
        for note in getattr(last, "__notes__", ()):
            self.add_note(note)

    @property
    def transient(self) -> bool:
        """True if the host had no time or no room for the last try."""
        return self.last.transient


class GivenUpError(LastTroubleError):
    """Several instances in a row came to no load."""

    def __init__(self, last: InfraError) -> None:
        super().__init__(
            f"the cell was given up, because {MAX_BARREN_INSTANCES} QEMUs in a row failed before "
            "their first load. The last failure",
            last,
        )
