"""Batch scripts: one job for each task, and one job array for tasks that differ only in number.

`sbatch` takes one node list and one constraint for a whole array. Tasks that are tied to hosts
differ in both, so each has a job of its own. Tasks for which Slurm chooses a node share an array.
"""

import math
import re
import secrets
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.fleet.body import command
from orchestrator.fleet.fleet_file import FleetFile
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.task import Task, tasks

#: Every job's name begins with this word and the fleet's identity.
PREFIX = "losttick"

#: Most elements of an array: Slurm's default MaxArraySize is 1001.
MOST_ELEMENTS = 1000

#: Seconds before the time limit at which Slurm sends SIGTERM, so that the run can end properly.
WARNING_S = 120

_IDENTITY = re.compile(r"[0-9a-f]{12}")

#: Characters of a constraint that bind less tightly than `&`.
_LOOSE = frozenset("|()[]*")


class ScriptError(InputError):
    """No batch script can be made of the fleet file."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Tasks that are submitted together: an array, or a single task."""

    number: int
    """Counted over the whole fleet file, so that it stays the same for every part of it."""
    tasks: Mapping[int, Task]
    """By array index; the index of a single task is 0."""

    @property
    def is_array(self) -> bool:
        """True if the tasks are the elements of an array."""
        return 0 not in self.tasks

    @property
    def name(self) -> str:
        """The name of the script."""
        first = next(iter(self.tasks.values()))
        return f"{_chooser(first)}@{first.kernel}.sh" if self.is_array else f"{first.id}.sh"

    def of(self, ids: Collection[str]) -> "Batch | None":
        """Return the batch with only the tasks of these ids; None if it has none of them."""
        left = {index: task for index, task in self.tasks.items() if task.id in ids}
        return Batch(self.number, left) if left else None


def batches(fleet: FleetFile) -> list[Batch]:
    """Return all tasks of a fleet as batches, in the order of the fleet file."""
    grouped: dict[tuple[str, str, bool], dict[int, Task]] = {}
    for task in tasks(fleet):
        index = _index(task)
        grouped.setdefault((_chooser(task) if index else task.id, task.kernel, index > 0), {})[
            index
        ] = task
    return [Batch(number, members) for number, members in enumerate(grouped.values(), start=1)]


def _index(task: Task) -> int:
    """Return the array index of a task; 0 if it has a job of its own."""
    number = task.host.rpartition("~")[2] if task.constraint is not None else ""
    return int(number) if number.isdecimal() and int(number) <= MOST_ELEMENTS else 0


def _chooser(task: Task) -> str:
    """Return the name of the constraint that a task of an array comes from."""
    return task.host.rpartition("~")[0] or task.host


def identity(folder: FleetFolder) -> str | None:
    """Return the identity of a fleet's folder; None if it has none yet."""
    try:
        kept = (folder.scripts / "identity").read_text("ascii").strip()
    except (OSError, ValueError):
        return None
    return kept if _IDENTITY.fullmatch(kept) else None


def make_identity(folder: FleetFolder) -> str:
    """Return the identity of a fleet's folder, made if it has none yet.

    The names of its jobs carry it, so that jobs are found again whose ids nobody wrote down.
    """
    if kept := identity(folder):
        return kept
    with folder.held(folder.scripts.name) as held:
        held.replace("identity", secrets.token_hex(6) + "\n")
    made = identity(folder)
    assert made is not None
    return made


def scripts(fleet: FleetFile, wanted: Sequence[Task], folder: FleetFolder) -> dict[str, str]:
    """Return the batch scripts of tasks, by name.

    Before the fleet has begun, its identity is shown as `NEW`.

    Raises:
        ScriptError: the fleet file or a path has characters that `sbatch` would not understand.
    """
    name = identity(folder) or "NEW"
    ids = {task.id for task in wanted}
    parts = (batch.of(ids) for batch in batches(fleet))
    return {part.name: script(fleet, part, folder, name) for part in parts if part}


def script(fleet: FleetFile, batch: Batch, folder: FleetFolder, name: str) -> str:
    """Return the batch script of a batch.

    Args:
        fleet: the fleet file.
        batch: with the tasks to run.
        folder: as all nodes see it.
        name: the identity of the fleet.

    Raises:
        ScriptError: the fleet file or a path has characters that `sbatch` would not understand.
    """
    options = "".join(f"#SBATCH {option}\n" for option in _options(fleet, batch, folder, name))
    return f"#!/bin/sh\n{options}exec {_body(fleet, batch, folder)}\n"


def _options(fleet: FleetFile, batch: Batch, folder: FleetFolder, name: str) -> Iterator[str]:
    task = next(iter(batch.tasks.values()))
    yield f"--job-name={PREFIX}-{name}-{batch.number}"
    if batch.is_array:
        yield f"--array={_ranges(sorted(batch.tasks))}"
    if fleet.slurm.partition is not None:
        yield f"--partition={fleet.slurm.partition}"
    if fleet.slurm.account is not None:
        yield f"--account={fleet.slurm.account}"
    if fleet.slurm.hours is not None:
        yield f"--time={math.ceil(fleet.slurm.hours * 60)}"
    yield "--nodes=1"
    if task.place is not None:
        yield f"--nodelist={task.place.name}"
    if needed := _constraint(task):
        yield f"--constraint={_quoted(needed, 'the constraint')}"
    yield "--exclusive"
    yield "--mem=0"
    yield "--requeue"
    yield f"--signal=B:TERM@{WARNING_S}"
    yield "--open-mode=append"
    before, after = _around_index(str(folder.output(_pattern_id(batch))))
    before, after = before.replace("%", "%%"), after.replace("%", "%%")
    index = "%a" if batch.is_array else ""
    yield f"--output={_quoted(before + index + after, 'the path of the fleet')}"


def _constraint(task: Task) -> str:
    """Return what a node must have: what the fleet file asks for, and the kernel's feature."""
    feature = task.boots.feature if task.boots is not None else None
    if task.constraint is None or feature is None:
        return task.constraint or feature or ""
    loose = not _LOOSE.isdisjoint(task.constraint)
    return f"({task.constraint})&{feature}" if loose else f"{task.constraint}&{feature}"


def _quoted(text: str, what: str) -> str:
    """Return a text as `sbatch` reads it in a line of a script.

    Raises:
        ScriptError: it can't be written so.
    """
    if not text.isprintable() or "\\" in text or '"' in text:
        raise ScriptError(
            f"making a batch script: {what}, {text!r}, has a quote, a backslash or a character "
            "that can't be printed, which sbatch would misread. Use another."
        )
    return text if re.fullmatch(r"[A-Za-z0-9/._@%~&,:=+-]+", text) else f'"{text}"'


#: Stands for the array index in a path. No path has it: it can't be printed.
_INDEX = "\x00"


def _pattern_id(batch: Batch) -> str:
    """Return the id of the batch's task, with a mark in place of the array index."""
    task = next(iter(batch.tasks.values()))
    return f"{_chooser(task)}~{_INDEX}@{task.kernel}" if batch.is_array else task.id


def _around_index(path: str) -> tuple[str, str]:
    before, _, after = path.partition(_INDEX)
    return before, after


def _body(fleet: FleetFile, batch: Batch, folder: FleetFolder) -> str:
    """Return the command of the tasks as words of the shell, all of them quoted."""
    task = next(iter(batch.tasks.values()))
    words = command(
        task, [fleet.slurm.command],
        plan=str(folder.plan), out=str(folder.run(_pattern_id(batch))),
    )  # fmt: skip
    return " ".join(map(_word, words))


def _word(word: str) -> str:
    if _INDEX not in word:
        return shlex.quote(word)
    before, after = _around_index(word)
    return f'{shlex.quote(before)}"$SLURM_ARRAY_TASK_ID"{shlex.quote(after)}'


def _ranges(indices: Sequence[int]) -> str:
    """Return ascending numbers as `sbatch --array` takes them: 1-3,7."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][-1] + 1:
            runs[-1][1:] = [index]
        else:
            runs.append([index])
    return ",".join("-".join(map(str, run)) for run in runs)


def write_script(text: str, batch: Batch, folder: FleetFolder) -> Path:
    """Write a batch script into the fleet's folder, and return its path."""
    with folder.held(folder.scripts.name) as held:
        held.replace(batch.name, text)
    return folder.scripts / batch.name
