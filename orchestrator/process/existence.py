"""Whether a file or a folder is there, as far as this user may know.

`Path.is_dir` and its like raise an error where a folder on the way is closed to this user, which
would end a scan at the folder of somebody else.
"""

import os
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
