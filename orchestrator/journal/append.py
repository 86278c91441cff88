"""Opens a file of the user's choice to append to it, unless it could be another user's choice."""

import os
import stat
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.journal.owners import is_trusted, other_writers, user_name
from orchestrator.journal.way import Place, place_of

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY


class ForeignFileError(InputError):
    """Another user has put a file there, or could exchange it."""


def open_to_append(path: Path, flags: int = 0) -> int:
    """Open a file, a FIFO or a device to append to it without waiting.

    What is open already, such as /dev/fd/3, is the user's choice, whatever it is. So is a FIFO:
    through it no file is reached.

    Args:
        path: of the file.
        flags: further flags of open(2).

    Raises:
        OSError: it can't be opened.
        ForeignLinkError: a link of another user leads there.
        ForeignFileError: the file is another user's, or every user could exchange it.
    """
    with place_of(path) as place:
        loose = None if place.live else _loose(place)
        about = place.about()
        if not place.live and (about is None or stat.S_ISREG(about.st_mode)):
            _check_folder(place, loose)
            _check_file(about, loose)
        fd = place.open(_FLAGS | flags, 0o644)
        try:
            if not place.live:
                _check_file(os.fstat(fd), loose)  # it may just have been put there
        except BaseException:
            os.close(fd)
            raise
        return fd


def _loose(place: Place) -> str | None:
    """Return who else can write to the folder of a file, in words."""
    assert place.folder is not None
    return other_writers(place.folder, os.fstat(place.folder))


def _check_folder(place: Place, loose: str | None) -> None:
    """Check that others can't exchange the file.

    The owner of a folder can. But a file of this user's in it, or a new one, still is this user's.
    """
    assert place.folder is not None
    about = os.fstat(place.folder)
    if not is_trusted(about.st_uid):
        loose = "others can write to it" if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH) else None
    if loose and not about.st_mode & stat.S_ISVTX:
        raise ForeignFileError(f"its folder: {loose}, and could exchange the file")


def _check_file(about: os.stat_result | None, loose: str | None) -> None:
    if about is None or not stat.S_ISREG(about.st_mode):
        return
    if not is_trusted(about.st_uid):
        raise ForeignFileError(f"the file belongs to {user_name(about.st_uid)}")
    if loose and about.st_nlink > 1:
        raise ForeignFileError("it has a second name somewhere else (a hard link)")
