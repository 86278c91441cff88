"""The states of a fleet's tasks, by Slurm's queue and by the journals of their runs."""

import re
from collections.abc import Mapping, Sequence

from orchestrator.fleet.executor import Seen, TaskState
from orchestrator.fleet.fleet_file import FleetFile
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.slurm.meaning import forgotten, has_journal, meaning
from orchestrator.fleet.slurm.queue import Job, read_queue
from orchestrator.fleet.slurm.scripts import batches
from orchestrator.fleet.task import Task

#: The living and the ended jobs of each task, by the number of its batch and its index there.
Jobs = Mapping[tuple[int, int], Sequence[Job]]


def read_jobs(text: str, identity: str) -> Jobs:
    """Return the jobs of a fleet by their tasks.

    Args:
        text: what Slurm's queue printed.
        identity: of the fleet.
    """
    jobs: dict[tuple[int, int], list[Job]] = {}
    for job in read_queue(text, identity):
        jobs.setdefault((job.batch, job.index), []).append(job)
    return jobs


class Standing:
    """Finds the jobs of a fleet's tasks."""

    def __init__(self, fleet: FleetFile) -> None:
        self._places = {
            task.id: (batch.number, index)
            for batch in batches(fleet)
            for index, task in batch.tasks.items()
        }

    def stand(
        self,
        tasks: Sequence[Task],
        jobs: Jobs,
        seen: Mapping[str, Seen],
        old: Mapping[str, int],
        folder: FleetFolder,
    ) -> list[Seen | None]:
        """Return where tasks stand. This reads files of those that ended."""
        return [self.stands(task, jobs, seen.get(task.id), old, folder) for task in tasks]

    def stands(
        self, task: Task, jobs: Jobs, last: Seen | None,
        old: Mapping[str, int], folder: FleetFolder,
    ) -> Seen | None:  # fmt: skip
        """Return where a task stands; None if it has no job and needs one."""
        after = old.get(task.id)
        job = self.newest(task, jobs, after)
        if job is not None:
            return meaning(task.id, job, folder)
        if after is not None:
            return None
        if last is not None and last.handle:
            return forgotten(task.id, last.handle, folder)
        if has_journal(task.id, folder):
            now = forgotten(task.id, "", folder)
            return now if now.state is TaskState.ENDED else None
        return None

    def newest(self, task: Task, jobs: Jobs, after: int | None = None) -> Job | None:
        """Return the living job of a task, else the one that ended last.

        Args:
            task: the task.
            jobs: of the fleet.
            after: the number of a job whose end is known: it and those before it don't count.
        """
        mine = jobs.get(self._places[task.id], ())
        alive = [job for job in mine if not job.over]
        ended = [job for job in mine if job.over and (after is None or job.number > after)]
        if alive:  # the first one: a second could only resume what it did
            return min(alive, key=lambda job: job.number)
        return max(ended, key=lambda job: job.number, default=None)


def job_number(handle: str) -> int:
    """Return the job's number in a handle; 0 if it has none."""
    digits = handle.partition("_")[0]
    return int(digits) if re.fullmatch(r"[0-9]{1,10}", digits) else 0
