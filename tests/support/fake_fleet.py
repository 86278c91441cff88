"""An engine that does what a script says, and fleets for it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.fleet.executor import FleetError, Seen, TaskState
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.load import Loaded, load_fleet
from orchestrator.fleet.task import Task

FLEET = """
engine = "ssh"
plan = "plan.toml"

[kernels.old]
release = "6.1.0-1"
[kernels.new]
release = "6.12.0-1"

[[hosts]]
name = "a"
[[hosts]]
name = "b"
lacks = ["new"]
"""

PLAN = """
controls = 1
[limits]
trials = 4
rule_out = 0.6
"""

#: The tasks of FLEET that can be run.
TASKS = ["a@old", "a@new", "b@old"]


def fleet_file(folder: Path, text: str = FLEET) -> Path:
    """Write a fleet file and its plan; return the file."""
    (folder / "plan.toml").write_text(PLAN)
    (folder / "fleet.toml").write_text(text)
    return folder / "fleet.toml"


def loaded(folder: Path, text: str = FLEET) -> Loaded:
    """Return a fleet file that was written."""
    return load_fleet(fleet_file(folder, text))


@dataclass
class FakeEngine:
    """An engine whose tasks all run at once, and end as it was told.

    It remembers what it was given, as an engine does whose driver dies: a second driver with the
    same engine finds its tasks again.
    """

    ends: Mapping[str, Seen] = field(default_factory=dict)
    """The ends of tasks that do not end with 3, by their ids."""
    fails_after: int | None = None
    """The number of steps after which the engine can't be reached."""
    hangs_after: int | None = None
    """The number of steps after which the engine says nothing more."""
    quits: bool = False
    """True if it says nothing more, and ends."""
    began: list[str] = field(default_factory=list)
    """Tasks in the order in which they were begun."""
    known: Mapping[str, Seen] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    closed: bool = False
    steps: int = 0

    async def run(
        self, tasks: Sequence[Task], known: Mapping[str, Seen], folder: FleetFolder
    ) -> AsyncIterator[Seen]:
        """Run tasks one after another."""
        self.known = dict(known)
        try:
            for task in tasks:
                if task.id not in self.began or known.get(task.id, _NEW).state.over:
                    self.began.append(task.id)
                handle = f"job-{self.began.index(task.id)}"
                node = task.host
                running = Seen(task.id, TaskState.RUNNING, handle=handle, node=node)
                end = self.ends.get(task.id, Seen(task.id, TaskState.ENDED, exit_code=3))
                for each in (running, replace(end, handle=handle, node=end.node or node)):
                    await self._step()
                    if self.quits and self.steps > 1:
                        return
                    yield each
        finally:
            self.closed = True

    async def _step(self) -> None:
        if self.steps == self.fails_after:
            raise FleetError("asking the engine: it does not answer. Is it running?")
        if self.steps == self.hangs_after:
            await asyncio.Event().wait()
        self.steps += 1

    async def look(
        self, tasks: Sequence[Task], known: Mapping[str, Seen], folder: FleetFolder
    ) -> list[Seen]:
        """Return that every task runs."""
        await self._step()
        return [Seen(task.id, TaskState.RUNNING, "looked at") for task in tasks]

    async def cancel(
        self, tasks: Sequence[Task], known: Mapping[str, Seen], folder: FleetFolder
    ) -> list[Seen]:
        """Cancel tasks."""
        self.cancelled += [task.id for task in tasks]
        return [Seen(task.id, TaskState.CANCELLED, "on request") for task in tasks]


_NEW = Seen("", TaskState.WAITING)
