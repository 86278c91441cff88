"""A file that is written whole, or not at all, in a folder that is held open.

The content goes into a new file, which then takes the name. Whoever reads the name meanwhile reads
the file of before, and a full disk leaves that file as it was. What stands in the place of the
name, such as a link, is replaced and never followed. The new file has no name until it is whole,
so that a kill leaves nothing of it.
"""

import contextlib
import os
import secrets

from orchestrator.process.write_all import write_all

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_whole(folder: int, name: str, data: bytes, mode: int | None = None) -> None:
    """Write a file; another one that has the name is replaced.

    Args:
        folder: the descriptor of its folder.
        name: of the file in it.
        data: its content.
        mode: of the file; None for the usual one of a new file.

    Raises:
        OSError: it can't be written. The old file is as it was, and nothing else is left.
    """
    new = f".{name[:100]}.{secrets.token_hex(6)}"
    nameless = _nameless(folder)
    fd = os.open(new, _NEW, 0o666, dir_fd=folder) if nameless is None else nameless
    try:
        try:
            if mode is not None:
                os.fchmod(fd, mode)
            write_all(fd, data)
            os.fsync(fd)
            if nameless is not None:
                os.link(f"/proc/self/fd/{fd}", new, dst_dir_fd=folder)  # linkat(2) shows this way
        finally:
            os.close(fd)
        os.replace(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(new, dir_fd=folder)
        raise


def _nameless(folder: int) -> int | None:
    """Open a new file that has no name in its folder; None where there are no such files."""
    try:
        return os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666, dir_fd=folder)
    except OSError:
        return None  # if nothing at all can be written there, a file with a name says why
