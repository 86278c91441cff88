"""QEMU's commands, whatever carries them: QMP's socket, or another program's link to it."""

import abc
from collections.abc import Mapping
from typing import Any, TypeVar

from orchestrator.clock import Clock, Deadlines
from orchestrator.qmp.answers import understood
from orchestrator.qmp.errors import CommandFailedError
from orchestrator.qmp.hmp_answer import is_failure

T = TypeVar("T")


class Commands(abc.ABC):
    """Runs QMP commands, each under a deadline."""

    clock: Clock
    """The host's clock, by which deadlines run."""
    deadlines: Deadlines

    @abc.abstractmethod
    async def execute(
        self,
        command: str,
        arguments: Mapping[str, object] | None = None,
        *,
        deadline_ns: int | None = None,
    ) -> Any:
        """Run a QMP command and return its value.

        Args:
            command: its name.
            arguments: as JSON has them.
            deadline_ns: of the host's time; `deadlines.command_ns` by default.

        Raises:
            CommandFailedError: QEMU answered with an error.
            MonitorTimeoutError: QEMU did not answer within the deadline.
            MonitorClosedError: the connection ended.
        """

    @abc.abstractmethod
    async def close(self) -> None:
        """Disconnect; errors of the ending connection are ignored."""

    async def ask(
        self, command: str, form: type[T], arguments: Mapping[str, object] | None = None
    ) -> T:
        """Run a QMP command whose answer is read, and return the answer in its form.

        Args:
            command: its name.
            form: the form of the answer, such as a class of `answers`.
            arguments: as JSON has them.

        Raises:
            AnswerError: the answer has another form.
            MonitorError: as `execute` raises it.
        """
        return understood(command, form, await self.execute(command, arguments))

    async def hmp(self, line: str, *, vcpu: int = 0, deadline_ns: int | None = None) -> str:
        """Run a command of the human monitor on a vCPU, and return what it prints."""
        arguments: dict[str, object] = {"command-line": line}
        if vcpu:
            arguments["cpu-index"] = vcpu
        answer = await self.execute("human-monitor-command", arguments, deadline_ns=deadline_ns)
        return understood(line, str, answer)

    async def hmp_do(self, line: str, *, deadline_ns: int | None = None) -> None:
        """Run a command of the human monitor that prints only warnings when it succeeds.

        Raises:
            CommandFailedError: the command printed an error.
        """
        text = await self.hmp(line, deadline_ns=deadline_ns)
        if is_failure(text):
            raise CommandFailedError(line, text.strip(), answer=text)
