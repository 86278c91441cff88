"""Removes the folders of old runs, and keeps the newest evidence of each bug."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from orchestrator.errors import LosttickError, own_fault
from orchestrator.journal.file import JOURNAL, is_being_written
from orchestrator.process.existence import exists
from orchestrator.results.bundling.source import FOLDERS
from orchestrator.results.history.entry import ABOUT
from orchestrator.results.history.place import HistoryError
from orchestrator.results.history.store import History, Run
from orchestrator.results.report import read_report

_AGE = re.compile(r"(\d{1,6})([dhw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Choice:
    """What becomes of the folder of a run."""

    run: Run
    removed: bool
    why: str = ""
    """Why it is kept."""


def age(text: str) -> timedelta:
    """Return a span of time such as 90d, 12h or 8w.

    Raises:
        HistoryError: the text is none.
    """
    found = _AGE.fullmatch(text.strip())
    if not found:
        raise HistoryError(f"reading --keep {text!r}: name hours, days or weeks, such as 90d")
    try:
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    except OverflowError as error:
        raise HistoryError(f"reading --keep {text!r}: that is too long") from error


def choose(history: History, keep: timedelta, now: datetime) -> Sequence[Choice]:
    """Return what becomes of the folder of each old run that is still there.

    A folder is kept if it has the newest evidence of a finding in a cell, if its run goes on, or
    if it is not the folder that was added.
    """
    runs = history.runs()
    newest: dict[tuple[str, str, str], int] = {}
    for run in runs:
        for cell in history.cells(run):
            if cell.finding and exists(Path(run.folder, JOURNAL)):
                newest[run.host, cell.cell, cell.finding] = run.id
    found = []
    for run in runs:
        if _began(run) is None or now - (_began(run) or now) <= keep:
            continue
        if not exists(Path(run.folder, JOURNAL)):
            continue
        why = "it has the newest evidence of a finding" if run.id in newest.values() else ""
        found.append(Choice(run, removed=not why, why=why))
    return found


def remove(choice: Choice) -> Choice:
    """Remove the folder of a run; return what became of it. Its row in the history stays.

    A folder that can't be read or removed stays, and says why: it does not keep the others.
    """
    folder = Path(choice.run.folder)
    try:
        if folder.is_symlink() or not folder.is_dir():
            return Choice(choice.run, removed=False, why="it is no folder")
        if is_being_written(folder / JOURNAL):
            return Choice(choice.run, removed=False, why="its run goes on")
        if read_report(folder).identity != choice.run.identity:
            return Choice(choice.run, removed=False, why="another run is there now")
        if strange := _strangers(folder):
            return Choice(choice.run, removed=False, why=f"it has files of others: {strange}")
        shutil.rmtree(folder)
    except OSError as error:
        return Choice(choice.run, removed=False, why=str(error.strerror))
    except LosttickError as error:
        return Choice(choice.run, removed=False, why=str(error))
    except Exception as error:
        return Choice(choice.run, removed=False, why=own_fault(f"reading {folder}", error))
    return choice


#: The files and folders that losttick itself writes into the folder of a run.
_OWN = {JOURNAL, ABOUT, *FOLDERS, "run-page.html", "report.html"}


def _strangers(folder: Path) -> str:
    names = sorted(each.name for each in folder.iterdir() if each.name not in _OWN)
    return ", ".join(names[:3])


def _began(run: Run) -> datetime | None:
    try:
        began = datetime.fromisoformat(run.began_at)
    except ValueError:
        return None
    return began if began.tzinfo else began.replace(tzinfo=UTC)
