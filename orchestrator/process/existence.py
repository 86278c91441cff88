"""Whether a file or a folder is there, as far as this user may know.

`Path.is_dir` and its like raise an error where a folder on the way is closed to this user, which
would end a scan at the folder of somebody else. Where the user named the path, the reason is told.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path


def is_folder(path: Path) -> bool:
    """Return whether there is a folder; False, too, if this user can't know."""
    return os.path.isdir(path)  # noqa: PTH112  # it raises nothing


def is_file(path: Path) -> bool:
    """Return whether there is a regular file; False, too, if this user can't know."""
    return os.path.isfile(path)  # noqa: PTH113  # it raises nothing


def exists(path: Path) -> bool:
    """Return whether there is anything; False, too, if this user can't know."""
    return os.path.exists(path)  # noqa: PTH110  # it raises nothing


def is_hidden(path: Path) -> bool:
    """Return whether this user can't know if there is anything: a folder on the way is closed."""
    try:
        path.stat()
    except PermissionError:
        return True
    except (OSError, ValueError):
        pass
    return False


def no_folder(path: Path) -> str:
    """Return why a path leads to no folder that is known, in words; empty if it leads to one."""
    return _none(path, f"folder {path}", stat.S_ISDIR)


def no_file(path: Path, named: str = "", *, readable: bool = True) -> str:
    """Return why a path leads to no regular file, in words; empty if it leads to one.

    Args:
        path: of the file.
        named: how the user named it, if not so.
        readable: whether this user must be able to read it, too.
    """
    named = named or str(path)
    why = _none(path, f"file {named}", stat.S_ISREG)
    if not why and readable and not os.access(path, os.R_OK):
        why = f"reading the file {named}: Permission denied"
    return why


def _none(path: Path, what: str, is_kind: Callable[[int], bool]) -> str:
    try:
        there = is_kind(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        there = False
    except OSError as error:
        return f"looking for the {what}: {error.strerror}"
    return "" if there else f"there is no {what}"
