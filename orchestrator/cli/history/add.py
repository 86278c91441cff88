"""`losttick history add`: runs into the history."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.exits import ExitCode, errors_to_exits
from orchestrator.cli.history.options import Db, HostName, Labels, opened
from orchestrator.cli.screen import Screen
from orchestrator.cli.text import say_error
from orchestrator.errors import InputError
from orchestrator.journal.file import JOURNAL
from orchestrator.process.existence import exists, is_file, is_folder, is_hidden
from orchestrator.results.history.place import load


def add(
    folders: Annotated[
        list[Path],
        typer.Argument(
            help="Output folders of runs, or folders that have such folders in them.",
            metavar="DIR...",
            readable=False,  # one that can't be read must not keep the others
        ),
    ],
    label: Labels = None,
    host: HostName = None,
    db: Db = None,
) -> None:
    """Add runs to the history, or read them again.

    The history is made from the journals: to make it anew, add all folders
    to a new file. A run that is there already is replaced. Exit code 2 if a
    folder could not be read; the others are added all the same.
    """
    with errors_to_exits(as_json=False):
        entries = load("entry")
        names = [entries.checked_name(each, "label") for each in label or ()]
        about = entries.About(
            tuple(names), entries.checked_name(host, "host") if host is not None else ""
        )
        history, screen, failed = opened(db), Screen(), False
        for folder in [each for given in folders for each in _runs(given)]:
            try:
                entry = entries.entry(folder, about)
                number, new = history.add(entry)
            except InputError as error:
                say_error(str(error))
                failed = True
                continue
            entries.keep_about(folder, about)
            what = "added" if new else "read again"
            screen.line(f"run {number}: {what}, {entry.trials:,} trials, {folder}")
    raise typer.Exit(ExitCode.USAGE if failed else ExitCode.CLEAN)


def _runs(folder: Path) -> list[Path]:
    """Return the runs that a folder means: itself, or those in it, and what may be one."""
    if is_folder(folder) and not exists(folder / JOURNAL):
        with contextlib.suppress(OSError):  # whoever reads the folder says it
            found = sorted(folder.iterdir())
            inside = [x for x in found if is_file(x / JOURNAL) or is_hidden(x / JOURNAL)]
            return inside or [folder]
    return [folder]
