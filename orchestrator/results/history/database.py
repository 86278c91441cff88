"""The database of the history: SQLite in a file, or PostgreSQL by URL.

A database is made, and migrated to the newest tables, by whoever opens it first. Each change is one
transaction, so that a kill leaves it as it was.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    NullPool,
    create_engine,
    event,
    inspect,
    make_url,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from orchestrator.journal.way import ForeignLinkError, make_folder, place_of
from orchestrator.process.home import expanded
from orchestrator.results.history.place import HistoryError, HistoryTroubleError
from orchestrator.results.history.schema import NEWEST, RUNS, VERSION_TABLE

_MIGRATIONS = Path(__file__).parent / "migrations"

#: Seconds to wait for another process that writes.
_WAIT_S = 60

#: The number of the advisory lock under which PostgreSQL's tables are made. Any number does.
_MAKING = 0x105771C


class Database:
    """An open history. Use `open_database`."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self.name = name
        """The database, for a message; without a password."""

    @contextlib.contextmanager
    def change(self, doing: str) -> Iterator[Connection]:
        """Open a transaction that may write; it is committed at the end of the block.

        Raises:
            HistoryTroubleError: the database failed.
        """
        with self._troubles(doing), self._engine.begin() as connection:
            yield connection

    def read(self, doing: str) -> "contextlib.AbstractContextManager[Connection]":
        """Open a transaction in which nothing changes."""
        return self.change(doing)

    @contextlib.contextmanager
    def _troubles(self, doing: str) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise HistoryTroubleError(
                f"{doing} the history {self.name}: {_words(error)}. Nothing was changed."
            ) from error


def open_database(name: str) -> Database:
    """Open a history, and make it if it is not there.

    Args:
        name: a file, or a URL of PostgreSQL.

    Raises:
        HistoryError: it can't be opened, is something else, or was written by a newer losttick.
        HistoryTroubleError: the database failed.
    """
    url = _url(name)
    shown = url.database if url.get_backend_name() == "sqlite" else url.render_as_string()
    opened = Database(_engine(url, name), shown or name)
    try:
        with opened._engine.begin() as connection:
            _bring_up_to_date(connection, opened.name)
    except OperationalError as error:
        raise HistoryError(f"opening the history {opened.name}: {_words(error)}") from error
    except DBAPIError as error:
        raise HistoryError(
            f"opening the history {opened.name}: {_words(error)}. Name another file or database "
            "with --db."
        ) from error
    return opened


def _url(name: str) -> URL:
    if "://" not in name:
        path = expanded(name, "opening the history")
        try:
            make_folder(path.parent)
            with place_of(path):
                pass  # SQLite itself opens it
        except ForeignLinkError as error:
            raise HistoryError(
                f"opening the history {name}: {error}. Name another file with --db."
            ) from error
        except OSError as error:
            raise HistoryError(
                f"opening the history {name}: {path.parent}: {error.strerror}. Name another file "
                "with --db."
            ) from error
        return URL.create("sqlite", database=str(path))
    try:
        url = make_url(name)
    except ArgumentError as error:
        raise HistoryError("opening the history: --db is no URL of a database") from error
    if url.get_backend_name() != "postgresql":
        raise HistoryError(
            f"opening the history: {url.get_backend_name()} is not supported. Name a file for "
            "SQLite, or a URL such as postgresql://user@server/losttick"
        )
    return url.set(drivername="postgresql+psycopg")


def _engine(url: URL, name: str) -> Engine:
    sqlite = url.get_backend_name() == "sqlite"
    about: dict[str, Any] = {"timeout": _WAIT_S} if sqlite else {"connect_timeout": 10}
    try:
        engine = create_engine(url, poolclass=NullPool, connect_args=about)
    except ModuleNotFoundError as error:
        raise HistoryError(
            f"opening the history: the Python package {error.name} is missing. Install it with "
            "`pip install 'losttick[history]'`."
        ) from error
    except NoSuchModuleError as error:
        raise HistoryError(f"opening the history {name}: {error}") from error
    if sqlite:
        event.listen(engine, "connect", _as_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _as_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy begins and ends transactions itself
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and then writes would fail beside another writer.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _bring_up_to_date(connection: Connection, name: str) -> None:
    """Make the tables, or migrate them.

    Raises:
        HistoryError: they are not losttick's, or newer than this losttick.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_MAKING})"))
    tables = set(inspect(connection).get_table_names())
    if VERSION_TABLE in tables:
        found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
        if found == NEWEST:
            return
        if found is None or not found.isdecimal() or int(found) > int(NEWEST):
            raise HistoryError(
                f"opening the history {name}: a newer losttick wrote it (its tables are of version "
                f"{found}, and this losttick knows {NEWEST}). Use that losttick, or name another "
                "file with --db."
            )
    elif RUNS.name in tables or (tables and connection.dialect.name == "sqlite"):
        raise HistoryError(
            f"opening the history {name}: it is a database of another program. Name another file "
            "or database with --db."
        )
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _words(error: DBAPIError) -> str:
    """Return the reason that the database itself gives, in one line."""
    return " ".join(str(error.orig).split()) or type(error.orig).__name__
