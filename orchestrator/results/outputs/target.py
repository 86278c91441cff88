"""The file of an output: written whole, or not at all.

A device, a FIFO or a descriptor such as /dev/fd/3 is written to directly.
"""

import errno
import os
import stat
from pathlib import Path

from orchestrator.errors import InfraError, says_no_room
from orchestrator.journal.owners import is_trusted, user_name
from orchestrator.process.whole_file import write_whole
from orchestrator.process.write_all import write_all
from orchestrator.results.outputs.output import OutputError

#: Folders whose entries stand for something that is open already, or for a device.
_LIVE = (Path("/dev"), Path("/proc"))

#: A folder of files all the same: a tmpfs.
_FILES = Path("/dev/shm")


class TargetError(InfraError):
    """An output can't be written: the disk is full, or the like."""

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self._transient = transient

    @property
    def transient(self) -> bool:
        """True if the disk had no room."""
        return self._transient


def check_target(path: Path, coming: Path | None = None) -> None:
    """Check, before there is anything to write, that a file can be written.

    Args:
        path: of the file.
        coming: a folder that will be made until then, if it is not there.

    Raises:
        OutputError: it can't, with the reason.
    """
    try:
        place = _place(path)
        about = _stat(place)
        if about and stat.S_ISDIR(about.st_mode):
            raise _refused(path, "it is a folder. Name a file in it")
        whole = about is None or stat.S_ISREG(about.st_mode)
        if coming and not coming.exists() and _same(place.parent, coming):
            return
        if whole and not _is_live(path) and not place.parent.is_dir():
            raise _refused(path, f"there is no folder {place.parent}. Make it first")
        asked = place.parent if whole and not _is_live(path) else place
        if not os.access(asked, os.W_OK):
            raise _refused(path, f"{asked} can't be written to. Name another file")
    except OSError as error:
        raise _refused(path, f"{error.strerror}. Name another file") from error


def write_target(path: Path, data: bytes) -> None:
    """Write an output.

    Raises:
        OutputError: the file can't be written to.
        TargetError: the disk is full, or failed.
    """
    try:
        place = _place(path)
        about = _stat(place)
        if _is_live(path) or (about and not stat.S_ISREG(about.st_mode)):
            _write_through(place, data)
        else:
            _replace(place, about, data)
    except OSError as error:
        words = f"writing a report to {path}: {error.strerror}"
        if isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
            raise OutputError(f"{words}. Name another file.") from error
        if error.errno in (errno.EPIPE, errno.ENXIO):
            raise OutputError(f"{words}: nobody reads it.") from error
        room = says_no_room(error.strerror or "")
        raise TargetError(
            f"{words}. What was there before is unchanged.", transient=room
        ) from error


def _replace(place: Path, before: os.stat_result | None, data: bytes) -> None:
    """Write a new file, and give it the name of the old one.

    Raises:
        OSError: it can't be written. The old file is as it was, and nothing else is left.
    """
    folder = os.open(place.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        write_whole(folder, place.name, data, stat.S_IMODE(before.st_mode) if before else None)
    finally:
        os.close(folder)


def _write_through(place: Path, data: bytes) -> None:
    """Write to the end of something that is open already, or no file.

    Raises:
        OSError: it can't be written to; ENXIO for a FIFO that nobody reads.
    """
    how = os.O_WRONLY | os.O_APPEND | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(place, how)
    try:
        write_all(fd, data)
    finally:
        os.close(fd)


def _place(path: Path) -> Path:
    """Return the file that a path leads to.

    A link is followed if it belongs to this user or to root: another user could lead it to a
    file of this one.

    Raises:
        OSError: nothing is known of the path.
        OutputError: the link is another user's.
    """
    if _is_live(path):
        return path
    link = _lstat(path)
    if link is None or not stat.S_ISLNK(link.st_mode):
        return path
    if not is_trusted(link.st_uid):
        raise _refused(
            path, f"it is a symbolic link of {user_name(link.st_uid)}. Name the file that you mean"
        )
    return path.resolve()


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _is_live(path: Path) -> bool:
    path = path.absolute()
    return not path.is_relative_to(_FILES) and any(map(path.is_relative_to, _LIVE))


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _lstat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def _refused(path: Path, why: str) -> OutputError:
    return OutputError(f"writing a report to {path}: {why}.")
