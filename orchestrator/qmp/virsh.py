"""QEMU's commands by way of libvirt: `virsh qemu-monitor-command` carries them.

libvirt holds the monitor of its domains, so that nobody else can connect to it.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.clock import DEFAULT_DEADLINES, Clock, Deadlines
from orchestrator.errors import UnfitError
from orchestrator.process.tool import bound_to_us
from orchestrator.qmp.commands import Commands
from orchestrator.qmp.errors import (
    AnswerError,
    CommandFailedError,
    MonitorClosedError,
    MonitorTimeoutError,
)

#: Longest answer of virsh that is read, in bytes.
MOST_BYTES = 16 * 1024 * 1024


class NoVirshError(UnfitError):
    """virsh is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "asking libvirt: there is no virsh on PATH. Install it: apt-get install "
            "libvirt-clients, or dnf install libvirt-client."
        )


def virsh_command(domain: str, uri: str | None) -> Sequence[str]:
    """Return the command to which a QMP command is added as its last argument.

    Args:
        domain: the domain's name, number or UUID.
        uri: libvirt's connection; None for virsh's own default.

    Raises:
        NoVirshError: virsh is not installed.
    """
    virsh = shutil.which("virsh")
    if virsh is None:
        raise NoVirshError
    connect = ("-c", uri) if uri else ()
    return (virsh, "-q", *connect, "qemu-monitor-command", "--domain", domain, "--cmd")


class Virsh(Commands):
    """The commands of one domain of libvirt."""

    def __init__(
        self, command: Sequence[str], clock: Clock, deadlines: Deadlines = DEFAULT_DEADLINES
    ) -> None:
        self.clock = clock
        self.deadlines = deadlines
        self.command = tuple(command)
        """As `virsh_command` returns it."""

    async def execute(
        self,
        command: str,
        arguments: Mapping[str, object] | None = None,
        *,
        deadline_ns: int | None = None,
    ) -> Any:
        """Run a QMP command and return its value; see `Commands.execute`."""
        deadline_ns = deadline_ns or self.deadlines.command_ns
        asked: dict[str, object] = {"execute": command}
        if arguments:
            asked["arguments"] = dict(arguments)
        try:
            code, said, errors = await self._run(json.dumps(asked), deadline_ns)
        except TimeoutError:
            seen = f"no answer by way of libvirt in {deadline_ns / 1e9:g} s"
            raise MonitorTimeoutError(command, seen, arguments=arguments) from None
        except OSError as error:
            seen = f"virsh can't be run: {error.strerror}"
            raise MonitorClosedError(command, seen, arguments=arguments) from error
        if code != 0:
            why = errors.strip().removeprefix("error: ") or f"virsh ended with {code}"
            raise MonitorClosedError(command, f"libvirt says: {why}", arguments=arguments)
        return _value(command, said, arguments)

    async def _run(self, asked: str, deadline_ns: int) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            *bound_to_us(), *self.command, asked,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
            limit=MOST_BYTES,
            start_new_session=True,  # losttick handles a Ctrl-C at the terminal
        )  # fmt: skip
        try:
            async with self.clock.deadline(deadline_ns):
                said, errors = await process.communicate()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # an ssh that it started, too
            await process.communicate()  # to the end of its pipes: asyncio closes them then
            raise
        assert process.returncode is not None
        return process.returncode, said.decode(errors="replace"), errors.decode(errors="replace")

    async def close(self) -> None:
        """Do nothing: each command has a connection of its own."""


def _value(command: str, said: str, arguments: Mapping[str, object] | None) -> Any:
    """Return the value in an answer of QEMU's."""
    try:
        answer = json.loads(said)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise AnswerError(command, f"not understood: virsh printed {said[:200]!r}")
    if isinstance(error := answer.get("error"), dict):
        raise CommandFailedError(
            command,
            str(error.get("desc", "no reason")),
            error_class=str(error.get("class", "GenericError")),
            arguments=arguments,
            answer=answer,
        )
    if "return" not in answer:
        raise AnswerError(command, f"not understood: virsh printed {said[:200]!r}")
    return answer["return"]
