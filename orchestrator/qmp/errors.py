"""The ways in which QEMU's monitor can fail.

Each error keeps what was sent and what was received::

    MonitorError
    ├── MonitorTimeoutError    no answer within the deadline
    ├── MonitorClosedError     the connection ended, or carried something that is not QMP
    ├── CommandFailedError     QEMU answered with an error
    └── AnswerError            QEMU answered, but not in the form that was expected
"""

from collections.abc import Mapping

from orchestrator.errors import InfraError, says_no_room


class MonitorError(InfraError):
    """QEMU's monitor did not carry out a command."""

    def __init__(
        self,
        command: str,
        seen: str,
        *,
        arguments: Mapping[str, object] | None = None,
        answer: object = None,
    ) -> None:
        """Build the message from what was sent and seen.

        Args:
            command: the QMP command, or the line of the human monitor.
            seen: what happened, for a person.
            arguments: the command's arguments.
            answer: what QEMU answered; None if nothing came.
        """
        self.command = command
        self.arguments = dict(arguments or {})
        self.answer = answer
        self.seen = seen
        super().__init__(f"QMP {command!r}: {seen}")


class MonitorTimeoutError(MonitorError):
    """No answer came within the deadline: whether the command ran is unknown."""


class MonitorClosedError(MonitorError):
    """The connection ended, or carried something that is not QMP."""


class CommandFailedError(MonitorError):
    """QEMU answered with an error."""

    def __init__(
        self,
        command: str,
        desc: str,
        *,
        error_class: str = "GenericError",
        arguments: Mapping[str, object] | None = None,
        answer: object = None,
    ) -> None:
        """Build the message from QEMU's own description.

        Args:
            command: the QMP command, or the line of the human monitor.
            desc: QEMU's description of the error.
            error_class: QMP's error class. Errors of jobs, migrations and the human monitor
                have none and count as GenericError.
            arguments: the command's arguments.
            answer: what QEMU answered.
        """
        self.desc = desc
        self.error_class = error_class
        super().__init__(command, f"QEMU says: {desc}", arguments=arguments, answer=answer)

    @property
    def transient(self) -> bool:
        """True if QEMU's host had no room for it at the moment."""
        return says_no_room(self.desc)


class AnswerError(MonitorError):
    """QEMU answered, but not in the form that was expected."""
