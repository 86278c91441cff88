"""Opens a file of the user's choice to append to it, unless it could be another user's choice."""

import os
import stat
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.journal.way import place_of
from orchestrator.process.owners import is_trusted, other_writers, user_name

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY

_EXCHANGED = "another file has just been put there"


class ForeignFileError(InputError):
    """Another user has put a file there."""


def open_to_append(path: Path, flags: int = 0) -> int:
    """Open a file, a FIFO or a device to append to it without waiting.

    What is open already, such as /dev/fd/3, is the user's choice, whatever it is. So is a FIFO:
    through it no file is reached. In a folder that others can write to, a new file is made anew:
    it is this user's, and stays open even if another one then takes its name.

    Args:
        path: of the file.
        flags: further flags of open(2).

    Raises:
        OSError: it can't be opened.
        ForeignLinkError: a link of another user leads there.
        ForeignFileError: the file is another user's, or has just been exchanged.
    """
    with place_of(path) as place:
        if place.live:
            return place.open(_FLAGS | flags, 0o644)
        assert place.folder is not None
        loose = other_writers(place.folder, os.fstat(place.folder)) is not None
        about = place.about()
        _check_file(about, loose)
        if loose and about is None and flags & os.O_CREAT:
            flags |= os.O_EXCL
        try:
            fd = place.open(_FLAGS | flags, 0o644)
        except FileExistsError as error:
            raise ForeignFileError(_EXCHANGED) from error
        try:
            opened = os.fstat(fd)
            _check_file(opened, loose)
            exclusive = flags & os.O_EXCL
            if loose and not exclusive and not (about and os.path.samestat(about, opened)):
                raise ForeignFileError(_EXCHANGED)
        except BaseException:
            os.close(fd)
            raise
        return fd


def _check_file(about: os.stat_result | None, loose: bool) -> None:
    """Check that a file is a trusted user's own, if it is a file."""
    if about is None or not stat.S_ISREG(about.st_mode):
        return
    if not is_trusted(about.st_uid):
        raise ForeignFileError(f"the file belongs to {user_name(about.st_uid)}")
    if loose and about.st_nlink > 1:
        raise ForeignFileError("it has a second name somewhere else (a hard link)")
