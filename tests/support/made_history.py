"""Histories of made runs, one a night."""

import functools
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from orchestrator.results.history import database
from orchestrator.results.history.entry import About, Entry, entry
from orchestrator.results.history.store import History, open_history
from tests.support.made_runs import Load, make_run

#: A program that adds runs again and again. Its arguments are the database and the folders.
WRITER = """
import sys
from pathlib import Path
from orchestrator.results.history.entry import entry
from orchestrator.results.history.store import open_history
history = open_history(sys.argv[1])
entries = [entry(Path(each)) for each in sys.argv[2:]]
print("ready", flush=True)
for _ in range(15):
    for each in entries:
        history.add(each)
print("done", flush=True)
"""


def night(
    folder: Path, number: int, loads: "Iterable[Load] | Mapping[str, Iterable[Load]]", **how: Any
) -> Path:
    """Make the run of a night; the first night has the number 1."""
    day = f"2026-11-{number:02}"
    return make_run(
        folder / f"night{number}", loads, seed=number,
        **{"began_at": f"{day}T01:00:00.000Z", "ended_at": f"{day}T02:00:00.000Z"} | how,
    )  # fmt: skip


@functools.cache
def _empty() -> bytes:
    """Return an empty history. To make its tables takes longer than most tests of them."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "history.sqlite"
        open_history(str(place))
        return place.read_bytes()


def opened(folder: Path) -> History:
    """Open the history of a folder, which has none at first."""
    place = folder / "history.sqlite"
    if not place.exists():
        place.write_bytes(_empty())
    return open_history(str(place))


def add(history: History, folder: Path, *labels: str, host: str = "") -> int:
    return history.add(entry(folder, About(labels, host)))[0]


def make_first_tables(url: str, entries: Iterable[Entry]) -> None:
    """Make a history with the tables of the first losttick that had one, and fill it."""
    engine = sa.create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        tables = sa.MetaData()
        tables.reflect(connection)
        runs, cells = tables.tables["runs"], tables.tables["cells"]
        assert "save_classes" not in cells.c
        for number, each in enumerate(entries, 1):
            connection.execute(sa.insert(runs), {"id": number, **each.run})
            names = set(cells.c.keys()) - {"run"}
            rows = [{name: row[name] for name in names} for row in each.cells]
            connection.execute(sa.insert(cells), [{"run": number, **row} for row in rows])
    engine.dispose()
