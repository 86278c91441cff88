"""The home folder of this user, who may have none: a container gives a process any number."""

import os
from pathlib import Path

from orchestrator.errors import InputError


class NoHomeError(InputError):
    """A path begins in a home folder, and there is no such folder."""


def expanded(name: str | Path, doing: str) -> Path:
    """Return a path whose first part may be `~` or `~USER`.

    Args:
        name: the path.
        doing: what is being done, in words.

    Raises:
        NoHomeError: nobody has such a home folder.
    """
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise NoHomeError(f"{doing}: {name}: no user has such a home folder") from None


def data_folder(what: str, otherwise: str) -> Path:
    """Return the folder in which this user's programs keep their data.

    A relative XDG_DATA_HOME is ignored, as its specification says.

    Args:
        what: what is kept there, in words.
        otherwise: what names another place for it: an option, or a variable.

    Raises:
        NoHomeError: this user has no home folder.
    """
    named = Path(os.environ.get("XDG_DATA_HOME", ""))
    if named.is_absolute():
        return named
    try:
        return Path.home() / ".local" / "share"
    except RuntimeError:
        raise NoHomeError(
            f"looking for {what}: this user has no home folder. Name it by {otherwise}, or set "
            "XDG_DATA_HOME"
        ) from None
