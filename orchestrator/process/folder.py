"""The folders in which programs run, and the removal of folders that nobody holds any more."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InfraError
from orchestrator.process.owners import who_can_exchange
from orchestrator.process.supervisor import open_to_us, remove

#: A tmpfs with less room than this is left alone; a snapshot of the tick guest takes some MB.
ROOM_BYTES = 128 * 1024 * 1024


#: Folders for temporary files on most computers.
_USUAL = ("/tmp", "/var/tmp")

PREFIX = "losttick-qemu-"


#: The owner puts this file into each folder. A folder without it is never removed.
MARKER = ".supervised"


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk on which a folder is."""

    free_bytes: int
    """Room for files of this user."""
    size_bytes: int


def disk_of(place: Path | int) -> Disk:
    """Return the disk of a folder, which is given by its path or by a descriptor.

    Raises:
        OSError: the folder can't be reached.
    """
    seen = os.statvfs(place)
    return Disk(seen.f_bavail * seen.f_frsize, seen.f_blocks * seen.f_frsize)


class NoTemporaryFolderError(InfraError):
    """There is no folder for temporary files."""


def base_folder() -> Path:
    """Return a tmpfs with room, preferably the user's own; else the folder for temporary files.

    A relative XDG_RUNTIME_DIR is ignored, as its specification says. One that another user can
    write to is passed over: `su` without a dash keeps that of the user before.

    Raises:
        NoTemporaryFolderError: there is none.
    """
    for place in (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm"):
        if place and place.startswith("/") and _has_room(place):
            with contextlib.suppress(_ExchangeableError):
                return _safe(place)
    return temporary_folder()


def _has_room(place: str) -> bool:
    """Return whether a folder can be written to, and its disk has room."""
    try:
        return _is_usable(place) and disk_of(Path(place)).free_bytes >= ROOM_BYTES
    except OSError:
        return False


def _is_usable(place: str) -> bool:
    """Return whether this is a folder that can be written to."""
    return os.access(place, os.W_OK | os.X_OK) and Path(place).is_dir()


class _ExchangeableError(Exception):
    """Another user can put a folder of their own in the place of one that is made here."""


def _safe(place: str) -> Path:
    """Return a folder's path without links, if no other user can exchange what is in the folder.

    Raises:
        _ExchangeableError: another user can.
    """
    try:
        path = Path(place).resolve(strict=True)
        others = who_can_exchange(path, may_add=True)
    except OSError as error:
        others = f"{place}: {error.strerror}"
    if others:
        raise _ExchangeableError(others)
    return path


def temporary_folder() -> Path:
    """Return the folder for temporary files, which TMPDIR names.

    One that another user can write to is passed over, unless it is sticky as /tmp is.

    Raises:
        NoTemporaryFolderError: neither TMPDIR nor any usual folder can be written to by this
            user alone.
    """
    try:
        first = tempfile.gettempdir()
    except OSError as error:
        raise NoTemporaryFolderError(
            f"looking for a folder for temporary files: {error.strerror}. Make room there, or let "
            "TMPDIR name a folder that can be written to."
        ) from error
    refused = []
    for place in dict.fromkeys((first, *_USUAL)):
        if _is_usable(place):
            try:
                return _safe(place)
            except _ExchangeableError as error:
                refused.append(str(error))
    raise NoTemporaryFolderError(
        f"looking for a folder for temporary files: {'; '.join(refused)}. Another user could "
        "exchange losttick's files there. Let TMPDIR name a folder that nobody else can write to, "
        "or one that is sticky (chmod +t), and whose parents are such folders, too."
    )


@contextlib.contextmanager
def own_folder(base: Path) -> Iterator[Path]:
    """Give this process a new folder under `base`, until it is left.

    A killed process leaves its folder behind; the next folder's maker, or the next run that has
    its QEMUs under `base`, removes it.
    """
    sweep(base)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (folder / MARKER).touch()
        yield folder
    finally:
        remove(str(folder), lock)
        os.close(lock)


def sweep(base: Path, twins: Path | None = None) -> list[Path]:
    """Remove folders under `base` that nobody holds any more; return them.

    A folder of the same name in `twins` is removed, too, if it is empty. A living supervisor,
    or other owner, keeps its folder locked, and puts the marker into a new folder only once it
    has the lock.
    """
    removed = []
    for folder in base.glob(PREFIX + "*"):
        try:
            fd = open_to_us(str(folder))
        except OSError:
            continue
        try:
            if _made_by_this_user(fd):
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(str(folder), fd)
                if twins:
                    with contextlib.suppress(OSError):
                        (twins / folder.name).rmdir()
                if not folder.exists():
                    removed.append(folder)
        except OSError:
            pass
        finally:
            os.close(fd)
    return removed


def _made_by_this_user(folder: int) -> bool:
    """Return whether a process of this user made an open folder; it may be another user's now.

    Raises:
        OSError: it has no marker.
    """
    me = os.geteuid()
    theirs = os.fstat(folder).st_uid
    marker = os.stat(MARKER, dir_fd=folder, follow_symlinks=False)
    return marker.st_uid == me and (theirs == me or me == 0)
