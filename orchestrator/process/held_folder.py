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
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)

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
