"""Where the history is, if nobody says so. Imports nothing that takes long."""

import importlib
import os
from pathlib import Path
from typing import Any

from orchestrator.errors import InfraError, InputError

#: The environment variable that names the database.
VARIABLE = "LOSTTICK_HISTORY"


class HistoryError(InputError):
    """The history can't be used as was asked."""


class HistoryTroubleError(InfraError):
    """The database failed: it is locked, its disk is full, or its server went away."""


def default_database() -> str:
    """Return the file of the history of this user.

    A relative XDG_DATA_HOME is ignored, as its specification says.
    """
    if named := os.environ.get(VARIABLE):
        return named
    base = Path(os.environ.get("XDG_DATA_HOME", ""))
    if not base.is_absolute():
        base = Path.home() / ".local" / "share"
    return str(base / "losttick" / "history.sqlite")


def load(module: str) -> Any:
    """Return a module of the history, which needs the extra `history`.

    Raises:
        HistoryError: a package that it needs is missing.
    """
    try:
        return importlib.import_module(f"orchestrator.results.history.{module}")
    except ModuleNotFoundError as error:
        raise HistoryError(
            f"using the history: the Python package {error.name} is missing. Install it with "
            "`pip install 'losttick[history]'`."
        ) from error
