"""The way to a file or a folder, gone step by step, so that no other user leads it elsewhere.

Who can write to a folder can put a symbolic link where losttick, perhaps as root, is about to
write. Links of this user and of root are followed; one of another user is an error. The folder at
the end is held open: whatever is exchanged on the way to it later changes nothing.
"""

import contextlib
import errno
import os
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.process.owners import is_trusted, user_name

#: Links on the way that are followed; the kernel follows as many.
_MAX_LINKS = 40

#: Opens a step on the way: whatever it is, and without reading it.
_STEP = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC

#: Folders whose entries stand for something that is open already, or for a device.
_LIVE = (Path("/dev"), Path("/proc"))

#: A folder of files all the same: a tmpfs.
_FILES = Path("/dev/shm")


class ForeignLinkError(InputError):
    """A symbolic link of another user is on the way."""

    def __init__(self, name: str, uid: int) -> None:
        super().__init__(
            f"{name!r} is a symbolic link of {user_name(uid)}, who can lead it elsewhere"
        )


@dataclass(frozen=True, slots=True)
class Place:
    """The name of a file in a folder that is held open. There may be no such file yet."""

    folder: int | None
    """The descriptor of the folder; None if the name is a whole path."""
    name: str
    live: bool
    """True if the name stands for something that is open already, as /dev/fd/3 does."""

    def about(self) -> os.stat_result | None:
        """Return what is known of the file; None if there is none.

        Raises:
            OSError: nothing can be known of it.
        """
        try:
            return os.stat(self.name, dir_fd=self.folder, follow_symlinks=self.live)
        except FileNotFoundError:
            return None

    def open(self, flags: int, mode: int = 0o666) -> int:
        """Open the file, and never what a link leads to that has just been put there.

        Raises:
            OSError: it can't be opened.
        """
        flags |= os.O_CLOEXEC | (0 if self.live else os.O_NOFOLLOW)
        return os.open(self.name, flags, mode, dir_fd=self.folder)

    def can_write(self) -> bool:
        """Return whether this user may write to what has the name: a device, or what is open."""
        return os.access(self.name, os.W_OK, dir_fd=self.folder)

    def can_replace(self) -> bool:
        """Return whether this user may give the name to a new file, whatever has it now.

        The mode of a file that has it does not matter. In a sticky folder its owner does.
        """
        assert self.folder is not None
        there, folder = self.about(), os.fstat(self.folder)
        sticky = folder.st_mode & stat.S_ISVTX
        if there and sticky and os.geteuid() not in (0, there.st_uid, folder.st_uid):
            return False
        return os.access(".", os.W_OK | os.X_OK, dir_fd=self.folder)


@contextlib.contextmanager
def place_of(path: Path) -> Iterator[Place]:
    """Go to a file, and hold its folder open.

    Raises:
        OSError: there is no such folder.
        ForeignLinkError: another user's link is on the way, or in the place of the file.
    """
    with contextlib.ExitStack() as opened:
        yield Place(None, str(path), live=True) if is_live(path) else _go(path, opened, file=True)


def open_folder(path: Path, *, make: bool, foreign_links: bool, start: int | None = None) -> int:
    """Go to a folder, and return its descriptor.

    Args:
        path: of the folder.
        make: whether to make it, and its parents, where they are missing. They are private.
        foreign_links: whether links of other users are followed, too.
        start: the descriptor of the folder that a relative path begins in; None for the current.

    Raises:
        OSError: it can't be opened or made.
        ForeignLinkError: another user's link is on the way.
    """
    how = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.ExitStack() as opened:
        mode = 0o700 if make else None
        found = _go(path, opened, make=mode, foreign_links=foreign_links, start=start)
        return os.open(".", how, dir_fd=found.folder)


def make_folder(path: Path) -> None:
    """Make a folder, and its parents, where they are missing. Their mode follows the umask.

    Raises:
        OSError: it can't be made.
        ForeignLinkError: another user's link is on the way.
    """
    with contextlib.ExitStack() as opened:
        _go(path, opened, make=0o777)


def is_live(path: Path) -> bool:
    """Return whether a path names a device, or something that is open already."""
    path = path.absolute()
    return not path.is_relative_to(_FILES) and any(map(path.is_relative_to, _LIVE))


def _go(
    path: Path, opened: contextlib.ExitStack, *, make: int | None = None,
    foreign_links: bool = False, file: bool = False, start: int | None = None,
) -> Place:  # fmt: skip
    """Go to a file (`file`) or to a folder, and make what is missing with a mode (`make`)."""
    steps, links = deque(path.parts), 0

    def open_step(name: str, at: int | None = None) -> int:
        fd = os.open(name, _STEP, dir_fd=at)
        opened.callback(os.close, fd)
        return fd

    at = open_step(".", start)
    while steps:
        name = steps.popleft()
        last = file and not steps
        try:
            found = open_step(name, at)
        except FileNotFoundError:
            if last:
                return Place(at, name, live=False)
            if make is None:
                raise
            with contextlib.suppress(FileExistsError):  # somebody has just made it
                os.mkdir(name, make, dir_fd=at)
            found = open_step(name, at)
        about = os.fstat(found)
        if not stat.S_ISLNK(about.st_mode):
            if last:
                return Place(at, name, live=False)
            at = found
            continue
        if last and _is_descriptor(about):
            return Place(at, name, live=True)
        if not (foreign_links or is_trusted(about.st_uid)):
            raise ForeignLinkError(name, about.st_uid)
        links += 1
        if links > _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        steps.extendleft(reversed(Path(os.readlink("", dir_fd=found)).parts))
    return Place(at, ".", live=False)


def _is_descriptor(link: os.stat_result) -> bool:
    """Return whether a link is /proc's own: what it leads to has no path."""
    try:
        return link.st_dev == Path("/proc/self/fd").stat().st_dev
    except OSError:
        return False
