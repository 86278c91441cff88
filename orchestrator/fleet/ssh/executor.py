"""The engine that needs nothing but SSH."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from orchestrator.errors import LosttickError
from orchestrator.fleet.executor import Seen, TaskState
from orchestrator.fleet.fleet_file import FleetFile, Host
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.ssh import look
from orchestrator.fleet.ssh.install import wheels_of
from orchestrator.fleet.ssh.kept import Kept
from orchestrator.fleet.ssh.setting import Setting
from orchestrator.fleet.ssh.visit import Visit
from orchestrator.fleet.task import Task
from orchestrator.process.background import in_thread


class SshExecutor:
    """Runs tasks on hosts through SSH, several hosts at a time."""

    def __init__(self, fleet: FleetFile, base: Path, *, allow_reboot: bool = False) -> None:
        """Prepare; nothing is connected to.

        Args:
            fleet: what the fleet file says.
            base: the folder from which its paths count.
            allow_reboot: whether hosts may be booted into the kernels of the fleet.
        """
        self._fleet, self._base = fleet, base
        self._allow_reboot = allow_reboot

    async def run(
        self, tasks: Sequence[Task], known: Mapping[str, Seen], folder: FleetFolder
    ) -> AsyncIterator[Seen]:
        """Begin and follow tasks, as `Executor.run` says.

        Raises:
            KeptError: the fleet's folder can't be written to.
            WheelsError: the folder of wheels can't be used.
        """
        setting = await self._setting(folder)
        queue: asyncio.Queue[Seen | None] = asyncio.Queue()
        turns = asyncio.Semaphore(self._fleet.ssh.at_once)

        async def visit(host: Host, its: list[Task]) -> None:
            async with turns:
                await Visit(setting, host, known, queue.put).run(its)

        async def visit_all() -> None:
            try:
                async with asyncio.TaskGroup() as group:
                    for host, its in _by_host(tasks):
                        group.create_task(visit(host, its))
            finally:
                queue.put_nowait(None)

        visits = asyncio.create_task(visit_all())
        try:
            while (seen := await queue.get()) is not None:
                yield seen
            await visits
        finally:
            visits.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await visits

    async def look(
        self, tasks: Sequence[Task], known: Mapping[str, Seen], folder: FleetFolder
    ) -> list[Seen]:
        """Return where tasks stand now. A host that can't be asked leaves what was known."""
        return await self._ask_all(tasks, known, folder, look.look)

    async def cancel(
        self, tasks: Sequence[Task], known: Mapping[str, Seen], folder: FleetFolder
    ) -> list[Seen]:
        """End tasks as SIGTERM does. A host that can't be asked leaves what was known."""
        return await self._ask_all(tasks, known, folder, look.cancel)

    async def _ask_all(
        self, tasks: Sequence[Task], known: Mapping[str, Seen], folder: FleetFolder,
        ask: Callable[[Setting, Host, Task, Seen], Awaitable[Seen]],
    ) -> list[Seen]:  # fmt: skip
        setting = await self._setting(folder)
        turns = asyncio.Semaphore(self._fleet.ssh.at_once)

        async def of_host(host: Host, its: list[Task]) -> list[Seen]:
            found = []
            async with turns:
                for task in its:
                    before = known.get(task.id) or Seen(task.id, TaskState.WAITING)
                    try:
                        found.append(await ask(setting, host, task, before))
                    except LosttickError as error:
                        found.append(look.unknown(before, str(error)))
            return found

        per_host = await asyncio.gather(*(of_host(*each) for each in _by_host(tasks)))
        return [seen for its in per_host for seen in its]

    async def _setting(self, folder: FleetFolder) -> Setting:
        ssh = self._fleet.ssh
        wheels: Mapping[str, Path] = {}
        if ssh.wheels:
            wheels = await in_thread(wheels_of, self._base, ssh.wheels)
        kept = Kept(folder)
        return Setting(self._fleet, self._base, folder, kept, wheels, self._allow_reboot)


def _by_host(tasks: Sequence[Task]) -> list[tuple[Host, list[Task]]]:
    """Return hosts with their tasks. Without a host a task is Slurm's, and none of ours."""
    hosts: dict[str, tuple[Host, list[Task]]] = {}
    for task in tasks:
        if task.place is not None:
            hosts.setdefault(task.host, (task.place, []))[1].append(task)
    return list(hosts.values())
