"""Histories of made runs, one a night."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.results.history.entry import About, entry
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
for _ in range(30):
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


def opened(folder: Path) -> History:
    return open_history(str(folder / "history.sqlite"))


def add(history: History, folder: Path, *labels: str, host: str = "") -> int:
    return history.add(entry(folder, About(labels, host)))[0]
