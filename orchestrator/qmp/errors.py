"""How QEMU's monitor can fail."""

from orchestrator.errors import InfraError


class MonitorError(InfraError):
    """QEMU's monitor failed to carry out a command."""

    def __init__(self, command: str, seen: str) -> None:
        self.command = command
        self.seen = seen
        super().__init__(f"QMP {command!r}: {seen}")


class MonitorTimeoutError(MonitorError):
    """No answer within the deadline: whether the command ran is unknown."""


class MonitorClosedError(MonitorError):
    """The connection ended, or carried what is not QMP."""


class CommandFailedError(MonitorError):
    """QEMU answered with an error."""
