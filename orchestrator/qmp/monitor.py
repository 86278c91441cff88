"""QEMU's monitor: QMP by `qemu.qmp`, with a deadline on every command.

`qemu.qmp` waits for ever; here no command does. Past its deadline a command's
outcome is unknown, and so is the state of that QEMU: the only thing left to do
with it is to kill it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Mapping
from typing import Any, cast

from qemu.qmp import ExecuteError, QMPError

from orchestrator.clock import Clock
from orchestrator.host.protocol import QemuProcess
from orchestrator.qmp.client import _Client
from orchestrator.qmp.errors import CommandFailedError, MonitorClosedError, MonitorTimeoutError
from orchestrator.qmp.events import EventStream, _StopWatch

#: For commands that answer at once. Generous: a loaded host is slow, not broken.
DEADLINE_NS = 10_000_000_000


#: For a connection to end whose QEMU is gone.
_LEAVING_S = 1.0


# The connection's ends and faults reach the caller as exceptions; without a
# handler, logging would print them to the user's terminal as well.
logging.getLogger("qemu.qmp").addHandler(logging.NullHandler())


class Monitor:
    """A connected monitor."""

    @property
    def clock(self) -> Clock:
        """The host's clock, by which deadlines run."""
        return self._clock

    def __init__(self, client: _Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._stops = _StopWatch()
        client.register_listener(self._stops)

    @classmethod
    async def connect(cls, process: QemuProcess, clock: Clock) -> "Monitor":
        """Negotiate with QEMU.

        Raises:
            MonitorTimeoutError: QEMU does not greet within the deadline.
            MonitorClosedError: it hung up, or what it said is not QMP.
        """
        client = _Client(clock)
        try:
            async with asyncio.timeout(clock.wall_s(DEADLINE_NS)):
                await client.connect(process.qmp)
        except TimeoutError:
            raise MonitorTimeoutError("qmp_capabilities", "no greeting in time") from None
        except QMPError as error:
            raise MonitorClosedError("qmp_capabilities", str(error)) from error
        return cls(client, clock)

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
            deadline_ns: of the host's time; `DEADLINE_NS` if left out.

        Raises:
            CommandFailedError: QEMU refused it.
            MonitorTimeoutError: it did not answer within the deadline.
            MonitorClosedError: the connection ended.
        """
        deadline_ns = deadline_ns or DEADLINE_NS
        try:
            async with asyncio.timeout(self._clock.wall_s(deadline_ns)):
                return await self._client.execute(command, arguments)
        except TimeoutError:
            seen = f"no answer in {deadline_ns / 1e9:g} s"
            raise MonitorTimeoutError(command, seen) from None
        except ExecuteError as error:
            raise CommandFailedError(command, f"QEMU says: {error.error.error.desc}") from error
        except (QMPError, EOFError, OSError) as error:
            seen = f"the connection is lost ({type(error).__name__}: {error})"
            raise MonitorClosedError(command, seen) from error

    async def hmp(self, line: str, *, vcpu: int = 0, deadline_ns: int | None = None) -> str:
        """Run a command of the human monitor, of this vCPU, and return what it prints."""
        arguments: dict[str, object] = {"command-line": line}
        if vcpu:
            arguments["cpu-index"] = vcpu
        return cast(
            str, await self.execute("human-monitor-command", arguments, deadline_ns=deadline_ns)
        )

    async def hmp_do(self, line: str, *, deadline_ns: int | None = None) -> None:
        """Run a command of the human monitor that prints nothing when it succeeds.

        Raises:
            CommandFailedError: it printed something: that is its error.
        """
        text = await self.hmp(line, deadline_ns=deadline_ns)
        if text.strip():
            raise CommandFailedError(line, f"QEMU says: {text.strip()}")

    @contextlib.contextmanager
    def listen(self, *names: str) -> Iterator["EventStream"]:
        """Hear events of these names, as a stream, for as long as the context lasts."""
        with self._client.listener(names) as listener:
            yield EventStream(self._client, listener)

    @property
    def resumed_ns(self) -> int:
        """When QEMU last said that its vCPUs go on, by the host's clock; 0 if it never did."""
        return self._client.resumed_ns

    def take_stops(self) -> list[str]:
        """Return and forget the events since the last call that may mean a stopped guest."""
        noticed, self._stops.noticed = self._stops.noticed, []
        return noticed

    def log(self) -> list[dict[str, object]]:
        """Return the last messages, oldest first."""
        return [
            {"t_ns": t_ns, "way": way, "message": dict(message)}
            for t_ns, way, message in self._client.log
        ]

    async def close(self) -> None:
        """Disconnect. Errors of a connection that is going away are of no interest.

        In a task of its own: a `disconnect` of qemu.qmp that is cancelled leaves an error
        behind that nobody retrieves, and asyncio says so on the terminal.
        """
        leaving = asyncio.create_task(self._client.disconnect())
        leaving.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.wait({leaving}, timeout=_LEAVING_S)
        leaving.cancel()
