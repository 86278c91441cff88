"""The folder of a fleet: how it is made, found and opened."""

import datetime
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.fleet.executor import Seen
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.load import Loaded, load_fleet, read_fleet
from orchestrator.fleet.log import FleetBegun, FleetLogError, FleetWriter, digest, read_log
from orchestrator.fleet.task import Task, tasks
from orchestrator.journal.out_folder import OutFolder, OutFolderError
from orchestrator.process.existence import is_file, is_folder, is_hidden, no_file
from orchestrator.version import __version__


class NoFleetError(InputError):
    """There is no fleet where somebody looks for one."""


@dataclass(frozen=True, slots=True)
class OpenFleet:
    """A fleet that was begun: its file and its tasks."""

    folder: FleetFolder
    loaded: Loaded
    tasks: Sequence[Task]
    base: Path
    """The folder from which relative paths in the fleet file count."""

    @property
    def can_run(self) -> list[Task]:
        """The tasks that are not ruled out by the fleet file."""
        return [task for task in self.tasks if not task.why_not]


def begin(
    loaded: Loaded, out: Path | None, *, shared: bool = False
) -> tuple[OpenFleet, FleetWriter]:
    """Make the folder of a fleet, with all that is needed to go on without the fleet file.

    Args:
        loaded: the fleet file, and its plan.
        out: the folder; by default one that is named after the time, where the fleet file says.
        shared: whether it may be a folder that other users can write to.

    Returns:
        The fleet, and its log, which is open.

    Raises:
        OutFolderError: it can't be made, has something in it, or another user can write to it.
        JournalError: the disk is full, or the like.
    """
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    path = (out or loaded.base / loaded.fleet.out / stamp).absolute()
    folder = FleetFolder(path)
    begun = FleetBegun(
        base=str(loaded.base), fleet=digest(loaded.text.encode()),
        plan=digest(loaded.plan_text.encode()), losttick=__version__,
    )  # fmt: skip
    try:
        held = OutFolder(path, make=True, shared=shared)
        try:
            _write_new(held, folder, {folder.file: loaded.text, folder.plan: loaded.plan_text})
        finally:
            held.close()
    except OSError as error:
        raise OutFolderError(
            f"making the fleet's folder {path}: {error.strerror}. Name another one with --out."
        ) from error
    return OpenFleet(folder, loaded, tasks(loaded.fleet), loaded.base), FleetWriter(
        folder, begun, shared=shared
    )


def _write_new(held: OutFolder, folder: FleetFolder, files: dict[Path, str]) -> None:
    """Write the first files of a folder; those of a fleet that did not begin are replaced.

    Raises:
        OSError: they can't be written.
        OutFolderError: a fleet began there, or the folder has something else.
    """
    ours = {path.name for path in files}
    there = set(held.names())
    if folder.log.name in there and folder.log.stat().st_size == 0 and there <= ours | {
        folder.log.name
    }:  # fmt: skip
        held.remove(folder.log.name)
        there.discard(folder.log.name)
    if folder.log.name in there:
        raise OutFolderError(
            f"making the fleet's folder {folder.path}: a fleet was begun there. Go on with it by "
            f"`losttick fleet resume {folder.path}`, or name a new folder with --out."
        )
    if there - ours:
        raise OutFolderError(
            f"making the fleet's folder {folder.path}: it is not empty. Name a new folder with "
            "--out."
        )
    for path, text in files.items():
        if path.name in there:
            held.remove(path.name)
        with os.fdopen(held.create(path.name), "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())


def find(where: Path) -> FleetFolder:
    """Return the folder of a fleet.

    Args:
        where: the folder; or a fleet file, for the newest of its fleets.

    Raises:
        NoFleetError: there is none.
        FleetFileError: the fleet file can't be used.
    """
    if is_folder(where):
        folder = FleetFolder(where.absolute())
        if is_hidden(folder.log):
            raise NoFleetError(f"looking for a fleet in {where}: {no_file(folder.log)}")
        if not is_file(folder.log):
            raise NoFleetError(
                f"looking for a fleet in {where}: it has no {folder.log.name}. Name the folder "
                "that `losttick fleet run` made, or the fleet file"
            )
        return folder
    loaded = load_fleet(where)
    out = loaded.base / loaded.fleet.out
    begun = sorted(log.parent for log in out.glob("*/fleet.jsonl"))
    if not begun:
        raise NoFleetError(
            f"looking for the newest fleet of {where}: there is none in {out}. Begin one with "
            f"`losttick fleet run {where}`, or name its folder"
        )
    return FleetFolder(begun[-1].absolute())


def reopen(folder: FleetFolder) -> tuple[OpenFleet, dict[str, Seen]]:
    """Return a fleet that was begun, and what was seen of its tasks last.

    Raises:
        FleetLogError: its log can't be read.
        FleetFileError: its file can't be used by this losttick.
    """
    log = read_log(folder)
    base = Path(log.begun.base)
    loaded = read_fleet(folder.file, base, plan=folder.plan)
    every = tasks(loaded.fleet)
    foreign = log.known.keys() - {task.id for task in every}
    if foreign:
        raise FleetLogError(
            f"reading the fleet in {folder.path}: the log names a task {min(foreign)!r}, which the "
            "fleet file does not have. Was either put there by hand?"
        )
    return OpenFleet(folder, loaded, every, base), log.known
