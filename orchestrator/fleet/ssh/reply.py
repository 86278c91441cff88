"""The answers of a host. A host may be broken or hostile: each answer is checked and bounded."""

import contextlib
import json
import re
import unicodedata
from collections.abc import Iterable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from orchestrator.errors import InfraError
from orchestrator.fleet.ssh import host_side
from orchestrator.results.printable import one_line

#: Most bytes of a line of an answer.
LONGEST_LINE = 64 << 10

#: Most bytes of one file of a run, and of all together.
MOST_BYTES = 16 << 30

#: Folders that a file of a run may be deep in.
_MOST_DEEP = 8

#: Bytes of a name, as file systems have it.
_LONGEST_NAME = 200

_SHA256 = re.compile(r"[0-9a-f]{64}")


class ReplyError(InfraError):
    """A host answered something that it should not."""


class FailedThereError(InfraError):
    """A host said that it could not do what it was asked."""


class BusyError(FailedThereError):
    """Another run goes on on a host, so that it can't be booted."""


def _absolute(path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise ValueError("it is no absolute path")
    return path


def _digest(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise ValueError("it is no SHA-256")
    return text


def _below(path: str) -> str:
    """Return a path that stays in its folder, made of names that every terminal can show."""
    names = path.split("/")
    if len(names) > _MOST_DEEP:
        raise ValueError("it is too deep")
    for name in names:
        if name in ("", ".", "..") or len(name.encode("utf-8", "replace")) > _LONGEST_NAME:
            raise ValueError("it is no path below a folder")
        if not name.isprintable() or any(unicodedata.category(c) == "Cs" for c in name):
            raise ValueError("its name can't be printed")
    return path


Short = Annotated[str, Field(max_length=300)]
Path = Annotated[str, Field(max_length=4000), AfterValidator(_absolute)]
Digest = Annotated[str, AfterValidator(_digest)]
Code = Annotated[int, Field(ge=-64, le=255)]
Time = Annotated[float, Field(ge=0, le=1e11)]


class _Reply(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Facts(_Reply):
    """The facts of a host."""

    release: Short
    """As `uname -r` prints it."""
    boot_id: Short
    time: Time
    """Its clock, in seconds since 1970."""
    uid: int
    folder: Path
    """Ours on the host."""
    python: Short
    kills_at_logout: bool
    """True if the host ends what a user leaves behind."""


class Installed(_Reply):
    """The result of an installation."""

    command: Annotated[list[Path], Field(max_length=3)] = []
    """The losttick that was installed; empty if wheels are lacking."""
    missing: Annotated[list[Digest], Field(max_length=10_000)] = []


class Begun(_Reply):
    """The beginning of a job."""

    watcher: int
    pid: int
    boot_id: Short
    release: Short
    began: Time


class Ended(_Reply):
    """The end of a job."""

    code: Code
    why: Annotated[str, Field(max_length=2000)]
    began: Time
    ended: Time


class JobState(_Reply):
    """The state of a job."""

    running: bool
    begun: Begun | None
    ended: Ended | None
    cancelled: bool
    tail: Annotated[str, Field(max_length=host_side.TAIL)]
    """The end of what it printed."""
    boot_id: Short
    release: Short
    time: Time

    @property
    def last_words(self) -> str:
        """The last line that the job printed, safe to print; empty if there is none."""
        lines = [line.strip() for line in self.tail.splitlines() if line.strip()]
        return one_line(lines[-1][-1000:]) if lines else ""


class Progress(_Reply):
    """The progress of a job."""

    trials: Annotated[int, Field(ge=0)]


class File(_Reply):
    """A file of a run."""

    path: Annotated[str, AfterValidator(_below)]
    """Below the run's folder."""
    size: Annotated[int, Field(ge=0, le=MOST_BYTES)]
    sha256: Digest


class Files(_Reply):
    """The number of files of a run."""

    files: Annotated[int, Field(ge=0, le=host_side.MOST_FILES)]
    odd: Annotated[int, Field(ge=0)]
    """Links, devices and what is too much: not brought."""


class Made(_Reply):
    """A folder was made."""

    made: bool


class Removed(_Reply):
    """A job's folder was removed, or is still there."""

    removed: bool


class Free(_Reply):
    """The answer whether no run has the host."""

    free: bool


class Boots(_Reply):
    """The host boots."""

    boots: bool


class _Error(_Reply):
    error: Annotated[str, Field(max_length=LONGEST_LINE)]
    busy: bool = False


Reply = TypeVar("Reply", bound=BaseModel)


def parse(line: bytes, *kinds: type[Reply]) -> Reply:
    """Return an answer of a host as one of some kinds.

    Args:
        line: after the mark.
        kinds: those that it may be, the likeliest first.

    Raises:
        BusyError: another run goes on there.
        FailedThereError: the host says that it could not.
        ReplyError: it is none of them.
    """
    try:
        words: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise ReplyError(f"the host answered no JSON: {_shown(line)}") from None
    for kind in kinds:
        with contextlib.suppress(ValidationError, RecursionError, UnicodeError):
            return kind.model_validate(words)
    with contextlib.suppress(ValidationError, RecursionError, UnicodeError):
        failed = _Error.model_validate(words)
        said = one_line(failed.error[:1000])
        raise BusyError(said) if failed.busy else FailedThereError(said)
    raise ReplyError(f"the host answered what was not asked: {_shown(line)}")


def total(files: Iterable[File], summary: Files) -> int:
    """Return the bytes of all files of a run.

    Raises:
        ReplyError: a name stands twice, one is a file and a folder, or they are too much.
    """
    paths: set[str] = set()
    folders: set[str] = set()
    size = 0
    for file in files:
        if file.path in paths:
            raise ReplyError(f"the host names a file twice: {file.path}")
        paths.add(file.path)
        folders |= {file.path[:at] for at, c in enumerate(file.path) if c == "/"}
        size += file.size
    if both := sorted(paths & folders):
        raise ReplyError(f"the host names a file that is also a folder: {both[0]}")
    if len(paths) != summary.files:
        raise ReplyError(f"the host names {len(paths):,} files, and says {summary.files:,}")
    if size > MOST_BYTES:
        raise ReplyError(f"the run has {size:,} bytes; at most {MOST_BYTES:,} are brought")
    return size


def _shown(line: bytes) -> str:
    return one_line(line[:200].decode("utf-8", "replace"))
