"""The file of an output: written whole, or not at all.

A device, a FIFO or a descriptor such as /dev/fd/3 is written to directly.
"""

import errno
import os
import stat
from pathlib import Path

from orchestrator.errors import InfraError, says_no_room
from orchestrator.journal.way import ForeignLinkError, Place, place_of
from orchestrator.process.existence import exists
from orchestrator.process.owners import is_trusted
from orchestrator.process.whole_file import write_whole
from orchestrator.process.write_all import write_all
from orchestrator.results.outputs.output import OutputError


class TargetError(InfraError):
    """An output can't be written: the disk is full, or the like."""

    unwritten = True

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
        with place_of(path) as place:
            about = place.about()
            if about and stat.S_ISDIR(about.st_mode):
                raise _refused(path, "it is a folder. Name a file in it")
            if _is_written_through(place, about):
                if not place.can_write():
                    raise _refused(path, f"{path} can't be written to. Name another file")
            elif not place.can_replace():
                what = "the file can't be replaced in" if about else "no file can be put into"
                raise _refused(path, f"{what} its folder. Name a file in a folder of your own")
    except ForeignLinkError as error:
        raise _refused(path, f"{error}. Name the file that you mean") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        folder = (path.resolve() if path.is_symlink() else path).parent
        if not (coming and not exists(coming) and folder.resolve() == coming.resolve()):
            raise _refused(path, f"there is no folder {folder}. Make it first") from error
    except OSError as error:
        raise _refused(path, f"{error.strerror}. Name another file") from error


def write_target(path: Path, data: bytes) -> None:
    """Write an output.

    Raises:
        OutputError: the file can't be written to.
        TargetError: the disk is full, or failed.
    """
    try:
        with place_of(path) as place:
            about = place.about()
            if place.folder is None or _is_written_through(place, about):
                _write_through(place, data)
            else:
                write_whole(place.folder, place.name, data, _kept_mode(about))
    except ForeignLinkError as error:
        raise _refused(path, f"{error}. Name the file that you mean") from error
    except OSError as error:
        raise write_error(f"a report to {path}", error) from error


def write_error(what: str, error: OSError) -> OutputError | TargetError:
    """Return the error of an output that can't be written: the user's, or that of the disk.

    Args:
        what: the output, and where it goes.
        error: what the system said.
    """
    words = f"writing {what}: {error.strerror}"
    if isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
        return OutputError(f"{words}. Name another file.")
    if error.errno in (errno.EPIPE, errno.ENXIO):
        return OutputError(f"{words}: nobody reads it.")
    room = says_no_room(error.strerror or "")
    return TargetError(f"{words}. What was there before is unchanged.", transient=room)


def _kept_mode(about: os.stat_result | None) -> int | None:
    """Return the mode that the file has from the one that it replaces; None for the usual one.

    Another user's file says nothing: its owner would choose who writes to this user's file. And
    nobody needs a report that changes the user of who runs it.
    """
    return about.st_mode & 0o777 if about and is_trusted(about.st_uid) else None


def _is_written_through(place: Place, about: os.stat_result | None) -> bool:
    """Return whether there is no file to replace by a new one: a FIFO, a device, an open file."""
    return place.live or (about is not None and not stat.S_ISREG(about.st_mode))


def _write_through(place: Place, data: bytes) -> None:
    """Write to the end of something that is open already, or no file.

    Raises:
        OSError: it can't be written to; ENXIO for a FIFO that nobody reads.
    """
    fd = place.open(os.O_WRONLY | os.O_APPEND | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        if not place.live and stat.S_ISREG(os.fstat(fd).st_mode):
            raise FileExistsError(errno.EEXIST, "another file has just been put there")
        write_all(fd, data)
    finally:
        os.close(fd)


def _refused(path: Path, why: str) -> OutputError:
    return OutputError(f"writing a report to {path}: {why}.")
