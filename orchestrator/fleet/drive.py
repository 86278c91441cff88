"""The loop of a fleet: drives its engine, and writes down what is seen of each task."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.errors import LosttickError
from orchestrator.fleet.begin import OpenFleet
from orchestrator.fleet.executor import Executor, FleetError, Seen, TaskState
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.log import FleetWriter, tame
from orchestrator.fleet.task import Task
from orchestrator.journal.begun import run_began
from orchestrator.results.exit_code import GRAVITY, ExitCode, gravest, result_exit
from orchestrator.results.result import read_result

#: Exit codes of losttick that say what a run found: there is a journal to every one of them.
_FOUND = (ExitCode.CLEAN, ExitCode.AFFECTED, ExitCode.ANOMALOUS)


class Watching(Protocol):
    """Whoever is told how a fleet goes."""

    def seen(self, seen: Seen, states: Mapping[TaskState, int]) -> None:
        """Take what is new of a task.

        Args:
            seen: what is new.
            states: how many tasks are in which state now.
        """
        ...


@dataclass(slots=True)
class Drive:
    """A fleet that is being driven: what is known of its tasks, and its open log."""

    fleet: OpenFleet
    log: FleetWriter | None
    """None if another process writes the log: then nothing is written down here."""
    known: dict[str, Seen] = field(default_factory=dict)
    """The last thing that was seen of each task, by its id."""
    _ids: frozenset[str] = field(init=False)
    _states: Counter[TaskState] = field(init=False)

    def __post_init__(self) -> None:
        self._ids = frozenset(each.id for each in self.fleet.can_run)
        self._states = Counter(states(self.fleet, self.known))

    async def run(
        self, engine: Executor, watching: Watching, kernels: Collection[str] = ()
    ) -> None:
        """Bring tasks to their ends. If this is cancelled, the runs go on.

        Failed and cancelled tasks get another try.

        Args:
            engine: that brings them to their hosts.
            watching: is told how it goes.
            kernels: only the tasks under these; none for all.

        Raises:
            FleetError: the engine can't be reached, or what it says makes no sense.
            JournalError: what it says can't be written down.
        """
        left = [
            each for each in self.fleet.can_run
            if not _ended(self.known.get(each.id)) and _is_of(each, kernels)
        ]  # fmt: skip
        if not left:
            return
        before = dict(self.known)
        await self._follow(engine.run(left, before, self.fleet.folder), watching)
        lost = [each.id for each in left if not _over(self.known.get(each.id))]
        if lost:
            raise FleetError(
                f"following {len(lost)} of {len(left)} tasks, such as {lost[0]}: the engine said "
                "nothing more of them. They may still run"
            )

    async def look(self, engine: Executor, watching: Watching) -> None:
        """Ask once how tasks stand that have no end, and begin none.

        Raises:
            FleetError: the engine can't be reached, or what it says makes no sense.
            JournalError: what it says can't be written down.
        """
        if open_ := self._open():
            self._take(await engine.look(open_, self.known, self.fleet.folder), watching)

    async def cancel(self, engine: Executor, watching: Watching) -> None:
        """End the tasks that have no end yet, so that they can be gone on with.

        Raises:
            FleetError: the engine can't be reached, or what it says makes no sense.
            JournalError: what it says can't be written down.
        """
        if open_ := self._open():
            self._take(await engine.cancel(open_, self.known, self.fleet.folder), watching)

    def _open(self) -> list[Task]:
        """Return the tasks that no end was seen of.

        Those of which nothing is known are among them: this process may have been killed before it
        could write down that it began them.
        """
        return [each for each in self.fleet.can_run if not _over(self.known.get(each.id))]

    async def _follow(self, seen: AsyncIterator[Seen], watching: Watching) -> None:
        try:
            async for each in seen:
                self._take([each], watching)
        finally:
            if close := getattr(seen, "aclose", None):
                await close()

    def _take(self, seen: Iterable[Seen], watching: Watching) -> None:
        """Write down what is new, and pass it on."""
        for each in seen:
            if each.task not in self._ids:
                raise FleetError(
                    f"following the fleet: the engine tells of a task {each.task[:80]!r}, and "
                    "there is none"
                )
            new = tame(each)
            if self.known.get(new.task) == new:
                continue
            if self.log:
                self.log.write(new)
            before = self.known.get(new.task)
            self._states[before.state if before else TaskState.WAITING] -= 1
            self._states[new.state] += 1
            self.known[new.task] = new
            watching.seen(new, self._states)


def states(fleet: OpenFleet, known: Mapping[str, Seen]) -> Mapping[TaskState, int]:
    """Return how many tasks are in which state; those that can't be run are in none."""
    return Counter(
        known[each.id].state if each.id in known else TaskState.WAITING for each in fleet.can_run
    )


def fleet_exit(
    fleet: OpenFleet, known: Mapping[str, Seen], kernels: Collection[str] = ()
) -> ExitCode:
    """Return the exit code of a fleet: that of its gravest task. It may read journals.

    Args:
        fleet: an open fleet.
        known: what was seen of its tasks last.
        kernels: only the tasks under these; none for all.
    """
    return gravest(
        task_exit(each, known.get(each.id), fleet.folder)
        for each in fleet.tasks
        if _is_of(each, kernels)
    )


def _is_of(task: Task, kernels: Collection[str]) -> bool:
    return not kernels or task.kernel in kernels


def task_exit(task: Task, seen: Seen | None, folder: FleetFolder) -> ExitCode:
    """Return the exit code of one task.

    An engine's word that a run found something counts only if there is the journal of the run.
    """
    if task.why_not:
        return ExitCode.UNFIT
    if seen is None or seen.state is not TaskState.ENDED:
        failed = seen is not None and seen.state is TaskState.FAILED
        return ExitCode.HARNESS if failed else ExitCode.INCONCLUSIVE
    if seen.exit_code is None:
        with contextlib.suppress(LosttickError, OSError):
            return result_exit(read_result(folder.run(task.id)).ends)
        return ExitCode.HARNESS
    if seen.exit_code in _FOUND and not run_began(folder.run(task.id)):
        return ExitCode.HARNESS
    return ExitCode(seen.exit_code) if seen.exit_code in GRAVITY else ExitCode.HARNESS


def _over(seen: Seen | None) -> bool:
    return seen is not None and seen.state.over


def _ended(seen: Seen | None) -> bool:
    return seen is not None and seen.state is TaskState.ENDED
