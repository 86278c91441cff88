"""Slurm as the engine of a fleet.

Slurm's queue is asked by one call for all jobs, at most once in some seconds. A job is found by its
name, which carries the fleet's identity, so that nothing is submitted twice even if this process
was killed before it could write down the job's id. What the queue no longer has is known from the
run's own journal.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from orchestrator.errors import InfraError
from orchestrator.fleet.believed import JUDGED
from orchestrator.fleet.executor import FleetError, Seen, TaskState
from orchestrator.fleet.fleet_file import FleetFile
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.slurm.meaning import ended_meanwhile
from orchestrator.fleet.slurm.queue import COMMAND
from orchestrator.fleet.slurm.requeue import COMMAND as CONFIG
from orchestrator.fleet.slurm.requeue import check_requeue
from orchestrator.fleet.slurm.scripts import (
    Batch,
    batches,
    make_identity,
    script,
    scripts,
    write_script,
)  # fmt: skip
from orchestrator.fleet.slurm.standing import Jobs, Standing, job_number, read_jobs
from orchestrator.fleet.slurm.tools import SlurmToolError, ask
from orchestrator.fleet.task import Task
from orchestrator.process.background import in_thread

#: Seconds between two questions to the queue.
POLL_S = 10.0

#: Seconds between two looks at the ends of journals, and most journals that are looked at.
_LOOK_S = 1.0
_MOST_LOOKED_AT = 200

#: Most jobs that one `scancel` is given.
_AT_ONCE = 500

#: Seconds until a run that ended must be seen here: NFS may show a new file a minute late.
_SHOWN_WITHIN_S = 90.0


class SlurmExecutor:
    """Brings tasks to their hosts as jobs of Slurm. The fleet's folder is on a shared file system.

    Args:
        fleet: the fleet file.
        poll_s: seconds between two questions to Slurm's queue.
    """

    def __init__(self, fleet: FleetFile, *, poll_s: float = POLL_S) -> None:
        self._fleet = fleet
        self._poll_s = poll_s
        self._asked_at = float("-inf")
        self._not_shown: dict[str, float] = {}
        self._standing = Standing(fleet)

    def scripts(self, tasks: Sequence[Task], folder: FleetFolder) -> dict[str, str]:
        """Return the batch scripts of tasks, by name.

        Raises:
            ScriptError: no batch script can be made of the fleet file.
        """
        return scripts(self._fleet, tasks, folder)

    async def run(
        self, tasks: Sequence[Task], known: Mapping[str, Seen], folder: FleetFolder
    ) -> AsyncIterator[Seen]:
        """Submit the tasks that have no job, and follow all to their ends.

        While Slurm does not answer, each task says so, and the queue is asked again.

        Raises:
            FleetError: Slurm does not answer the first question, or its commands are missing, or
                it would run jobs again that found something.
            ScriptError: no batch script can be made of the fleet file.
        """
        self.scripts(tasks, folder)
        identity = await in_thread(_prepare, folder)
        seen = {task.id: known[task.id] for task in tasks if task.id in known}
        #: Jobs whose ends were known before: a new try must not take them for its own.
        old = {task.id: job_number(seen[task.id].handle) for task in tasks
               if task.id in seen and seen[task.id].state.over}  # fmt: skip
        open_tasks = [task for task in tasks if not _done(seen.get(task.id))]
        first = True
        while open_tasks:
            async for now in self._until_next_question(open_tasks, seen, old, folder):
                seen[now.task] = now
                yield now
            open_tasks = [each for each in open_tasks if each.id in old or not _over(seen, each)]
            if not open_tasks:
                return
            try:
                jobs = await self._queue(identity)
                if first:
                    check_requeue(await ask(CONFIG, "asking Slurm for its configuration"))
            except SlurmToolError as error:
                if first:
                    raise _unreachable(error) from None
                for now in _told(open_tasks, seen, str(error), old):
                    yield now
                continue
            first = False
            missing: list[Task] = []
            stand = await in_thread(self._standing.stand, open_tasks, jobs, seen, old, folder)
            for task, found in zip(open_tasks, stand, strict=True):
                if found is None:
                    missing.append(task)
                    continue
                now = self._or_not_shown_yet(found)
                old.pop(task.id, None)
                if now != seen.get(task.id):
                    seen[task.id] = now
                    yield now
            async for now in self._submit(missing, folder, identity):
                if now.handle or now.state.over:
                    old.pop(now.task, None)
                if now != seen.get(now.task):
                    seen[now.task] = now
                    yield now
            open_tasks = [each for each in open_tasks if each.id in old or not _over(seen, each)]

    async def look(
        self, tasks: Sequence[Task], known: Mapping[str, Seen], folder: FleetFolder
    ) -> list[Seen]:
        """Return where tasks stand now, and submit nothing.

        Raises:
            FleetError: Slurm does not answer, or its commands are missing.
        """
        return await in_thread(self._stand_all, tasks, known, folder, await self._jobs(folder))

    async def cancel(
        self, tasks: Sequence[Task], known: Mapping[str, Seen], folder: FleetFolder
    ) -> list[Seen]:
        """Take waiting jobs from the queue, and end running ones by SIGTERM to losttick alone.

        `scancel` without options would signal the QEMUs as well, and a trial would seem to crash.

        Raises:
            FleetError: Slurm does not answer, or its commands are missing.
        """
        jobs = await self._jobs(folder)
        found = {task.id: self._standing.newest(task, jobs) for task in tasks}
        alive = [job for job in found.values() if job is not None and not job.over]
        begun = [job.handle for job in alive if job.state in ("RUNNING", "SUSPENDED")]
        waiting = [job.handle for job in alive if job.handle not in begun]
        try:
            for part in _parts(waiting):
                await ask(("scancel", *part), "cancelling jobs")
            for part in _parts(begun):
                await ask(("scancel", "--batch", "--signal=TERM", *part), "ending jobs")
        except SlurmToolError as error:
            raise _unreachable(error) from None
        if alive:
            jobs = await self._jobs(folder)
        stand = await in_thread(self._stand_all, tasks, known, folder, jobs)
        return [_cancelled(each, waiting, begun) for each in stand]

    async def _until_next_question(
        self,
        tasks: Sequence[Task],
        seen: Mapping[str, Seen],
        old: Mapping[str, int],
        folder: FleetFolder,
    ) -> AsyncIterator[Seen]:
        """Yield the ends of tasks that their journals show, until the queue may be asked again.

        Short runs would else wait for the next question longer than a tenth of their time.
        """
        loop = asyncio.get_running_loop()
        while (left_s := self._asked_at + self._poll_s - loop.time()) > 0:
            open_tasks = [each.id for each in tasks if each.id in old or not _over(seen, each)]
            if not open_tasks:
                return
            await asyncio.sleep(min(left_s, _LOOK_S))
            running = [
                seen[each] for each in open_tasks
                if each in seen and each not in old and seen[each].state is TaskState.RUNNING
            ]  # fmt: skip
            for each in await in_thread(ended_meanwhile, running[:_MOST_LOOKED_AT], folder):
                if each.state is TaskState.ENDED:
                    yield each

    async def _jobs(self, folder: FleetFolder) -> Jobs:
        """Return the fleet's jobs, by batch and index.

        Raises:
            FleetError: Slurm does not answer, or its commands are missing.
        """
        try:
            return await self._queue(await in_thread(_prepare, folder))
        except SlurmToolError as error:
            raise _unreachable(error) from None

    async def _queue(self, identity: str) -> Jobs:
        """Return the fleet's jobs, by batch and index, when it is time to ask.

        Raises:
            SlurmToolError: Slurm does not answer.
        """
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._asked_at + self._poll_s - loop.time())
        self._asked_at = loop.time()
        text = await ask(COMMAND, "asking Slurm for its queue")
        return read_jobs(text, identity)

    def _or_not_shown_yet(self, seen: Seen) -> Seen:
        """Return what was seen of a task, or that it goes on where its journal may come late."""
        if seen.state is not TaskState.FAILED or seen.exit_code not in JUDGED:
            return seen
        now = asyncio.get_running_loop().time()
        if now - self._not_shown.setdefault(seen.handle, now) > _SHOWN_WITHIN_S:
            return seen
        why = "it ended, and its folder is not seen here yet"
        return replace(seen, state=TaskState.RUNNING, why=why, exit_code=None)

    def _stand_all(
        self, tasks: Sequence[Task], known: Mapping[str, Seen], folder: FleetFolder,
        jobs: Jobs,
    ) -> list[Seen]:  # fmt: skip
        stand = []
        for task in tasks:
            last = known.get(task.id)
            if last is not None and _done(last):
                stand.append(last)
                continue
            old = {task.id: job_number(last.handle)} if last and last.state.over else {}
            now = self._standing.stands(task, jobs, last, old, folder)
            stand.append(now or last or Seen(task.id, TaskState.WAITING, "it has no job yet"))
        return stand

    async def _submit(
        self, tasks: Sequence[Task], folder: FleetFolder, identity: str
    ) -> AsyncIterator[Seen]:
        """Submit tasks. What Slurm can't take now waits until the queue was asked again."""
        ids = {task.id for task in tasks}
        parts = (batch.of(ids) for batch in batches(self._fleet)) if tasks else ()
        unable = ""
        for part in filter(None, parts):
            if unable:
                for task in part.tasks.values():
                    yield Seen(task.id, TaskState.WAITING, unable)
                continue
            try:
                number = await self._sbatch(part, folder, identity)
            except SlurmToolError as error:
                state = TaskState.WAITING if error.passing else TaskState.FAILED
                for task in part.tasks.values():
                    yield Seen(task.id, state, str(error))
                unable = str(error) if error.passing else ""
                continue
            for index, task in part.tasks.items():
                handle = f"{number}_{index}" if part.is_array else str(number)
                yield Seen(task.id, TaskState.WAITING, "Slurm has its job", handle)

    async def _sbatch(self, part: Batch, folder: FleetFolder, identity: str) -> int:
        """Submit a batch and return the number of its job.

        Raises:
            SlurmToolError: Slurm did not take it, or nobody knows whether it did.
        """
        text = script(self._fleet, part, folder, identity)
        try:
            path = await in_thread(write_script, text, part, folder)
        except OSError as error:
            words = f"writing {part.name} into {folder.scripts}: {error.strerror}"
            raise SlurmToolError(words, passing=True) from None
        told = await ask(
            ("sbatch", "--parsable", f"--chdir={folder.path}", str(path)), f"submitting {part.name}"
        )
        number = job_number(told.strip().partition(";")[0])
        if not number:  # the queue will tell
            raise SlurmToolError(f"submitting {part.name}: sbatch named no job", passing=True)
        return number


def _prepare(folder: FleetFolder) -> str:
    """Make what jobs need in the fleet's folder, and return the fleet's identity.

    Raises:
        FleetError: the folder can't be written.
    """
    try:
        for place in (folder.output("x").parent, folder.run("x").parent):
            with folder.held(place.name):
                pass  # Slurm writes there itself
        return make_identity(folder)
    except OSError as error:
        told = f"preparing {folder.path}: {error.strerror}. Make room there, or let it be written"
        raise FleetError(f"{told}, and resume.") from None


def _done(seen: Seen | None) -> bool:
    """Return whether a task needs nothing more."""
    return seen is not None and seen.state is TaskState.ENDED


def _over(seen: Mapping[str, Seen], task: Task) -> bool:
    """Return whether nothing more happens to a task by itself."""
    return task.id in seen and seen[task.id].state.over


def _told(
    tasks: Iterable[Task], seen: dict[str, Seen], why: str, old: Mapping[str, int]
) -> Iterator[Seen]:
    """Yield each task's last state with why nothing new is known, where that is news."""
    for task in tasks:
        last = seen.get(task.id)
        if last is None or task.id in old:
            now = Seen(task.id, TaskState.WAITING, why)
        else:
            now = replace(last, why=why)
        if now != last:
            seen[task.id] = now
            yield now


def _cancelled(seen: Seen, waiting: Sequence[str], begun: Sequence[str]) -> Seen:
    """Return what was seen of a task after its job was to be ended."""
    if not seen.handle and not seen.state.over:
        return replace(seen, state=TaskState.CANCELLED, why="it had no job yet")
    if seen.handle in waiting and not seen.state.over:
        return replace(seen, why="Slurm was told to cancel it")
    if seen.handle in begun:
        if seen.state is TaskState.FAILED:
            return replace(seen, state=TaskState.CANCELLED)
        if not seen.state.over:
            return replace(seen, why="losttick was told to end, and ends its trial")
    return seen


def _parts(handles: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(handles), _AT_ONCE):
        yield handles[begin : begin + _AT_ONCE]


def _unreachable(error: InfraError) -> FleetError:
    return FleetError(
        f"{str(error).rstrip('.')}. Nothing was lost: `losttick fleet resume` goes on."
    )
