"""The log of a fleet: what was seen of each task, from which the fleet goes on after any crash."""

import hashlib
from dataclasses import dataclass, field, replace
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as record

from orchestrator.errors import InputError
from orchestrator.fleet.executor import FleetError, Seen, TaskState
from orchestrator.fleet.folder import FleetFolder
from orchestrator.journal.file import BusyJournalError
from orchestrator.journal.record_log import Kinds, RecordLog, RecordLogError, read_records
from orchestrator.process.existence import is_file, is_hidden, no_file
from orchestrator.results.printable import one_line, printable

#: Number of the log's format. A reader refuses any other.
FORMAT = 1

#: Bytes that a line may have.
_LONGEST_LINE = 1 << 16

#: Characters of an engine's text that are kept.
_LONGEST_WHY, _LONGEST_NAME = 4000, 200

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

_Name = Annotated[str, Field(max_length=_LONGEST_NAME)]


class FleetLogError(RecordLogError):
    """A folder has no fleet that can be gone on with."""


class BusyFleetError(InputError):
    """Another losttick goes on with the fleet."""


@record(frozen=True, config=_STRICT)
class FleetBegun:
    """The first record: what the fleet was begun with."""

    base: str
    """The folder from which paths in the fleet file count."""
    fleet: str
    """SHA-256 of the fleet file."""
    plan: str
    """SHA-256 of the plan."""
    losttick: str
    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)] = FORMAT


@record(frozen=True, config=_STRICT)
class SeenRecord:
    """A report of an engine on a task."""

    task: _Name
    state: TaskState
    why: Annotated[str, Field(max_length=_LONGEST_WHY)] = ""
    handle: _Name = ""
    node: _Name = ""
    exit_code: Annotated[int, Field(ge=-255, le=255)] | None = None


KINDS = Kinds("a fleet", {"begun": FleetBegun, "seen": SeenRecord})


@dataclass(slots=True)
class FleetLog:
    """The content of a log: the fleet's beginning, and the last report on each task."""

    begun: FleetBegun
    known: dict[str, Seen] = field(default_factory=dict)
    """By the task's id."""


def read_log(folder: FleetFolder) -> FleetLog:
    """Return what the log of a fleet says.

    Raises:
        FleetLogError: it can't be read, a line is no record, or the fleet file or plan in the
            folder is not the one with which the fleet began.
    """
    doing = f"reading the fleet in {folder.path}"
    if is_hidden(folder.log):
        raise FleetLogError(f"{doing}: {no_file(folder.log)}")
    if not is_file(folder.log):
        raise FleetLogError(
            f"{doing}: it has no {folder.log.name}. Begin with `losttick fleet run`"
        )
    found: FleetLog | None = None
    for each in read_records(folder.log, KINDS, _LONGEST_LINE, FleetLogError):
        if isinstance(each, FleetBegun) != (found is None):
            raise FleetLogError(f"{doing}: {folder.log}: its first line is not how it began")
        if found is None:
            found = FleetLog(each)
        else:
            found.known[each.task] = seen_of(each)
    if found is None:
        raise FleetLogError(f"{doing}: it was cut off before it began. Begin again, elsewhere")
    for path, wanted in ((folder.file, found.begun.fleet), (folder.plan, found.begun.plan)):
        try:
            there = digest(path.read_bytes())
        except OSError as error:
            raise FleetLogError(f"{doing}: {path}: {error.strerror}") from error
        if there != wanted:
            raise FleetLogError(
                f"{doing}: {path.name} there is not the one that the fleet began with. Put it "
                "back, or begin another fleet: edit the file from which it was copied"
            )
    return found


class FleetWriter:
    """The open log of a fleet, to which one process alone can write."""

    def __init__(
        self, folder: FleetFolder, begun: FleetBegun | None = None, *, shared: bool = False
    ) -> None:
        """Create the log of a new fleet, or open the one that is there.

        Args:
            folder: of the fleet.
            begun: how it begins; None if the log is there.
            shared: whether other users may be able to write to the folder.

        Raises:
            JournalError: it can't be created or opened.
            BusyFleetError: another process writes to it.
            OutFolderError: another user can write to its folder.
        """
        try:
            self._log = RecordLog(folder.log, KINDS, resume=begun is None, shared=shared)
        except BusyJournalError as error:
            raise BusyFleetError(
                f"opening the fleet in {folder.path}: another losttick goes on with it. See how "
                f"it stands with `losttick fleet status {folder.path}`."
            ) from error
        if begun is not None:
            self._log.write(begun)

    def write(self, seen: Seen) -> None:
        """Append what was seen, and wait until it is on the disk.

        Raises:
            JournalError: the disk is full, or the like; or the log was deleted or moved.
        """
        self._log.write(
            SeenRecord(seen.task, seen.state, seen.why, seen.handle, seen.node, seen.exit_code)
        )

    def close(self) -> None:
        """Close the file."""
        self._log.close()

    def __enter__(self) -> "FleetWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def seen_of(line: SeenRecord) -> Seen:
    """Return what a record says of a task."""
    return Seen(line.task, line.state, line.why, line.handle, line.node, line.exit_code)


def digest(data: bytes) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(data).hexdigest()


def tame(seen: Seen) -> Seen:
    """Return what an engine said, with texts that are safe to print and not too long to keep.

    Raises:
        FleetError: the task could not be found again by its handle.
    """
    if len(seen.handle) > _LONGEST_NAME or not seen.handle.isprintable():
        raise FleetError(f"following {seen.task}: the engine calls it {seen.handle[:80]!r}…")
    code = seen.exit_code
    return replace(
        seen,
        why=_cut(printable(seen.why), _LONGEST_WHY),
        node=_cut(one_line(seen.node), _LONGEST_NAME),
        exit_code=code if code is not None and abs(code) <= 255 else None,
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
