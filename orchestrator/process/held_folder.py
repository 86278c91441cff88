"""A folder that a program which is not trusted can write to, held open by losttick."""

import errno
import os
import stat
from pathlib import Path

#: Largest file that is read, by half of the computer's memory: the rest is needed for the program
#: itself. A file with holes takes no room on a disk, however large it is.
MOST_BYTES = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


class HeldFolder:
    """An open folder, in which a program that is not trusted may put what it likes."""

    def __init__(self, path: Path) -> None:
        """Open the folder, which is still this user's own.

        Raises:
            OSError: it can't be opened, or is another user's.
        """
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        if os.fstat(self._fd).st_uid != os.geteuid():
            self.close()
            raise PermissionError(errno.EPERM, "another user's folder is in its place", str(path))

    def write(self, name: str, content: bytes) -> None:
        """Make a new file: never what a link leads to.

        Raises:
            OSError: it can't be written, or there is a file of this name.
        """
        how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(name, how, 0o666, dir_fd=self._fd), "wb") as file:
            file.write(content)

    def read(self, name: str) -> bytes:
        """Return a regular file: never what a link leads to, never a FIFO that has no end.

        Raises:
            OSError: it can't be read, is no regular file, or is too large for the memory.
        """
        if self._fd < 0:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        how = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(name, how, dir_fd=self._fd), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, "not a regular file", name)
            size = os.fstat(file.fileno()).st_size
            content = b"" if size > MOST_BYTES else file.read(MOST_BYTES + 1)  # it may grow
            if max(size, len(content)) > MOST_BYTES:
                raise OSError(errno.EFBIG, "larger than half of this computer's memory", name)
            return content

    def close(self) -> None:
        """Let the folder go."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
