"""The output folder of a run, held open while the run writes into it.

losttick may run as root and write into a folder of somebody who is not. Whoever can write to a
folder can put a symbolic link where a file is about to be written. Every file is therefore
created anew, by its name in a folder that is held open, and never through a link. A folder that
another user can write to is refused, unless the user of losttick allows it.
"""

import fcntl
import os
import stat
from pathlib import Path
from types import TracebackType

from orchestrator.errors import InputError
from orchestrator.journal.way import ForeignLinkError, open_folder
from orchestrator.process.folder import Disk, disk_of
from orchestrator.process.owners import is_trusted, other_writers, user_name
from orchestrator.process.whole_file import write_whole

#: Opens a folder.
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

#: Creates a file that is not there.
_NEW = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

#: Opens a file that is there. A FIFO in its place does not block.
_OLD = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class OutFolderError(InputError):
    """The output folder can't be used."""


class OutFolder:
    """A folder, held open. Names are those of files and folders directly in it."""

    def __init__(self, path: Path, *, make: bool = False, shared: bool = False) -> None:
        """Open a folder.

        Args:
            path: of the folder.
            make: whether to make it, and its parents, where they are missing.
            shared: whether it may be a folder that other users can write to.

        Raises:
            OSError: it can't be opened or made.
            OutFolderError: another user can write to it, or put a link on the way to it.
        """
        self.path = path
        try:
            fd = open_folder(path, make=make, foreign_links=shared)
        except ForeignLinkError as error:
            raise OutFolderError(
                f"writing results to {path}: {error}. Name the folder without it, or allow it with "
                "--shared-out."
            ) from error
        self._hold(fd, shared=shared)

    def _hold(self, fd: int, *, shared: bool) -> None:
        """Take over the descriptor of the folder."""
        self._fd, self._shared = fd, shared
        about = os.fstat(fd)
        readers = about.st_mode & (stat.S_IRGRP | stat.S_IROTH)
        #: Who can read the folder can read its files. Only their owner can write to them.
        self._file_mode = 0o600 | readers
        self._folder_mode = 0o700 | readers | readers >> 2
        writers = None if shared else other_writers(fd, about)
        if writers:
            self.close()
            raise OutFolderError(
                f"writing results to {self.path}: {writers}, and could replace files while "
                "losttick writes them. Name a folder of your own with --out, or allow this one "
                "with --shared-out."
            )

    def create(self, name: str, flags: int = os.O_WRONLY) -> int:
        """Create a file, and return its descriptor.

        Raises:
            FileExistsError: the name is taken, be it by a link.
            OSError: the file can't be created.
        """
        return os.open(name, flags | _NEW, self._file_mode, dir_fd=self._fd)

    def reopen(self, name: str, flags: int) -> int:
        """Open a file that losttick created, and return its descriptor.

        Raises:
            OSError: it can't be opened, or is a link.
            OutFolderError: it is no file, or another user's.
        """
        fd = os.open(name, flags | _OLD, dir_fd=self._fd)
        about = os.fstat(fd)
        seen = None
        if not stat.S_ISREG(about.st_mode):
            seen = "it is not a file"
        elif about.st_nlink > 1:
            seen = "it has a second name somewhere else (a hard link)"
        elif not self._shared and not is_trusted(about.st_uid):
            seen = f"it belongs to {user_name(about.st_uid)}"
        if seen:
            os.close(fd)
            raise OutFolderError(f"opening {self.path / name}: {seen}")
        return fd

    def write(self, name: str, text: str) -> None:
        """Write a new file.

        Raises:
            OSError: the name is taken, or the file can't be written.
        """
        with os.fdopen(self.create(name), "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)

    def replace(self, name: str, text: str) -> None:
        """Write a file, whole or not at all. What has the name is replaced, be it a link.

        Raises:
            OSError: it can't be written. What has the name is as it was.
        """
        write_whole(self._fd, name, text.encode("utf-8", "surrogateescape"), self._file_mode)

    def folder(self, name: str, *, new: bool = False, linked: bool = False) -> "OutFolder":
        """Open a folder in this one, and make it where it is missing.

        Args:
            name: of the folder.
            new: whether it must be missing.
            linked: whether a link in its place is followed, if it is this user's or root's.

        Raises:
            OSError: it can't be made or opened.
            OutFolderError: another user can write to it.
            ForeignLinkError: a link is followed, and another user's is on the way.
        """
        try:
            os.mkdir(name, self._folder_mode, dir_fd=self._fd)
        except FileExistsError:
            if new:
                raise
        if linked:
            fd = open_folder(Path(name), make=False, foreign_links=False, start=self._fd)
        else:
            fd = os.open(name, _FOLDER, dir_fd=self._fd)
        below = object.__new__(OutFolder)
        below.path = self.path / name
        below._hold(fd, shared=self._shared)
        return below

    def names(self, folder: str | None = None) -> list[str]:
        """Return the names in the folder, or in a folder in it; none if that is missing."""
        try:
            fd = os.open(folder or ".", _FOLDER, dir_fd=self._fd)
        except OSError:
            return []
        try:
            with os.scandir(fd) as found:
                return [each.name for each in found]
        finally:
            os.close(fd)

    def rename(self, name: str, to: str) -> None:
        """Rename a file; another one that has the new name is replaced."""
        os.rename(name, to, src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def remove(self, name: str) -> None:
        """Remove a file."""
        os.unlink(name, dir_fd=self._fd)

    def lock(self) -> bool:
        """Lock the folder until it is closed; return False if another process has locked it."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a network file system that locks no folders
            pass
        return True

    @property
    def disk(self) -> Disk:
        """The disk of the folder, as it is now."""
        return disk_of(self._fd)

    def close(self) -> None:
        """Close the folder."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> "OutFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()
