"""Options of commands that use the history."""

from typing import Annotated, Any

import typer

from orchestrator.results.history.place import default_database, load

Db = Annotated[
    str | None,
    typer.Option(
        "--db",
        help="Database: a file, or a URL such as postgresql://user@server/losttick.",
        metavar="FILE|URL",
        show_default="$LOSTTICK_HISTORY, else a file below XDG_DATA_HOME",
    ),
]

Labels = Annotated[
    list[str] | None,
    typer.Option("--label", help="Label of the run in the history, such as nightly."),
]

HostName = Annotated[
    str | None,
    typer.Option(
        "--host",
        help="Name of the host in the history.",
        metavar="NAME",
        show_default="its hashed machine id and its CPU's model",
    ),
]


def opened(db: str | None) -> Any:
    """Return the history.

    Raises:
        HistoryError: it can't be opened, or a package is missing.
        NoHomeError: it is not named, and this user has no home folder.
    """
    return load("store").open_history(db or default_database())
