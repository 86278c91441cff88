"""An engine brings the runs of a fleet to their hosts, and their folders back."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from orchestrator.errors import InfraError
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.task import Task


class FleetError(InfraError):
    """The engine of a fleet failed as a whole: nothing is known of any task."""


class TaskState(StrEnum):
    """The state of a task."""

    WAITING = "waiting"
    """It has not begun: its host is busy, boots, or has not been asked."""
    RUNNING = "running"
    ENDED = "ended"
    """The run came to its end, whatever its verdict. Its folder has been brought."""
    FAILED = "failed"
    """No run came to its end, and none will without a new try."""
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """True if nothing more happens to the task by itself."""
        return self in (TaskState.ENDED, TaskState.FAILED, TaskState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Seen:
    """A report of an engine on a task."""

    task: str
    """The id of the task."""
    state: TaskState
    why: str = ""
    """A sentence for a person: what is being waited for, or why it failed."""
    handle: str = ""
    """The engine's name of the task: the id of a job, or of a process on its host. It is written
    down, so that a later `fleet resume` finds the task again."""
    node: str = ""
    """The host that it runs on, as the engine calls it."""
    exit_code: int | None = None
    """The code that losttick ended with; None if that is not known."""


class Executor(Protocol):
    """An engine. A new one may find tasks that another process of ours began."""

    def run(
        self, tasks: Sequence[Task], known: Mapping[str, Seen], folder: FleetFolder
    ) -> AsyncIterator[Seen]:
        """Begin the tasks that have not begun, and follow all to their ends.

        Yields what is new of a task, at the least each change of its state. What went wrong with
        one task or host is yielded, and the others go on. When the iterator is closed, tasks that
        run go on running.

        Args:
            tasks: those to bring to their ends.
            known: what was seen of tasks before, by id.
            folder: with the plan, and for the folders of the runs.

        Raises:
            FleetError: the engine can't be reached at all.
        """
        ...

    async def look(
        self, tasks: Sequence[Task], known: Mapping[str, Seen], folder: FleetFolder
    ) -> list[Seen]:
        """Return where tasks stand now, and begin nothing.

        Raises:
            FleetError: the engine can't be reached at all.
        """
        ...

    async def cancel(
        self, tasks: Sequence[Task], known: Mapping[str, Seen], folder: FleetFolder
    ) -> list[Seen]:
        """End tasks as SIGTERM does: their runs can be resumed.

        Raises:
            FleetError: the engine can't be reached at all.
        """
        ...
