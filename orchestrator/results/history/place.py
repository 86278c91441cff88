"""Where the history is, if nobody says so. Imports nothing that takes long."""

import importlib
import os
from typing import Any

from orchestrator.errors import InfraError, InputError
from orchestrator.process.home import data_folder

#: The environment variable that names the database.
VARIABLE = "LOSTTICK_HISTORY"


class HistoryError(InputError):
    """The history can't be used as was asked."""


class HistoryTroubleError(InfraError):
    """The database failed: it is locked, its disk is full, or its server went away."""


def default_database() -> str:
    """Return the file of the history of this user.

    Raises:
        NoHomeError: this user has no home folder.
    """
    if named := os.environ.get(VARIABLE):
        return named
    base = data_folder("the history", f"--db or by {VARIABLE}")
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
