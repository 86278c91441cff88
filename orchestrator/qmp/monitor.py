"""QEMU's monitor: QMP by `qemu.qmp`, with a deadline on every command.

`qemu.qmp` waits for ever; here no command does. After a missed deadline nobody knows
whether the command ran, nor in which state that QEMU is: it can only be killed.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from qemu.qmp import ExecuteError, QMPError

from orchestrator.clock import DEFAULT_DEADLINES, Clock, Deadlines
from orchestrator.qmp.client import Client
from orchestrator.qmp.commands import Commands
from orchestrator.qmp.errors import CommandFailedError, MonitorClosedError, MonitorTimeoutError
from orchestrator.qmp.events import EventStream, StopWatch

#: How long a connection may take to end after its QEMU has gone.
_LEAVING_S = 1.0


# A connection's end and its faults reach the caller as exceptions; without a
# handler, logging would print them to the user's terminal as well.
logging.getLogger("qemu.qmp").addHandler(logging.NullHandler())


class Monitor(Commands):
    """A connected monitor. Made by `Monitor.connect`."""

    def __init__(self, client: Client, clock: Clock, deadlines: Deadlines) -> None:
        self.clock = clock
        """The host's clock, by which deadlines run."""
        self.deadlines = deadlines
        self._client = client
        self._stops = StopWatch()
        client.register_listener(self._stops)

    @classmethod
    async def connect(
        cls, stream: socket.socket, clock: Clock, deadlines: Deadlines = DEFAULT_DEADLINES
    ) -> "Monitor":
        """Negotiate with QEMU.

        Args:
            stream: connected to QEMU's monitor.
            clock: the clock of the host on which QEMU runs.
            deadlines: `command_ns` is the default for every command.

        Raises:
            MonitorTimeoutError: QEMU does not greet within the deadline.
            MonitorClosedError: QEMU hung up, or said something that is not QMP.
        """
        client = Client(clock)
        try:
            async with clock.deadline(deadlines.command_ns):
                await client.connect(stream)
        except TimeoutError:
            raise MonitorTimeoutError(
                "qmp_capabilities", f"no greeting in {deadlines.command_ns / 1e9:g} s"
            ) from None
        except QMPError as error:
            raise MonitorClosedError("qmp_capabilities", str(error)) from error
        return cls(client, clock, deadlines)

    async def execute(
        self,
        command: str,
        arguments: Mapping[str, object] | None = None,
        *,
        deadline_ns: int | None = None,
    ) -> Any:
        """Run a QMP command and return its value; see `Commands.execute`."""
        deadline_ns = deadline_ns or self.deadlines.command_ns
        try:
            async with self.clock.deadline(deadline_ns):
                return await self._client.execute(command, arguments)
        except TimeoutError:
            seen = f"no answer in {deadline_ns / 1e9:g} s"
            raise MonitorTimeoutError(command, seen, arguments=arguments) from None
        except ExecuteError as error:
            raise CommandFailedError(
                command,
                error.error.error.desc,
                error_class=error.error_class,
                arguments=arguments,
                answer=dict(error.received),
            ) from error
        except (QMPError, EOFError, OSError) as error:
            seen = f"the connection is lost ({type(error).__name__}: {error})"
            raise MonitorClosedError(command, seen, arguments=arguments) from error

    @contextlib.contextmanager
    def listen(self, *names: str) -> Iterator["EventStream"]:
        """Give a stream of the events with these names, for as long as the context lasts."""
        with self._client.listener(names) as listener:
            yield EventStream(self._client, listener)

    @property
    def resumed_ns(self) -> int:
        """When QEMU last announced that its vCPUs run, by the host's clock; 0 if it never did."""
        return self._client.resumed_ns

    @property
    def loaded_ns(self) -> int:
        """When QEMU last announced the end of a job or a migration, by the host's clock; else 0."""
        return self._client.loaded_ns

    def take_stops(self) -> list[str]:
        """Return and forget the events since the last call that may mean a stopped guest."""
        noticed = list(self._stops.noticed)
        self._stops.noticed.clear()
        return noticed

    def log(self) -> list[dict[str, object]]:
        """Return the last messages, oldest first."""
        return [
            {"t_ns": t_ns, "way": way, "message": dict(message)}
            for t_ns, way, message in self._client.log
        ]

    async def close(self) -> None:
        """Disconnect; errors of the ending connection are ignored.

        qemu.qmp's `disconnect` runs in a task of its own: when it is cancelled, it leaves an
        error behind that nobody retrieves, and asyncio prints that on the terminal.
        """
        leaving = asyncio.create_task(self._client.disconnect())
        leaving.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.wait({leaving}, timeout=_LEAVING_S)
        leaving.cancel()
