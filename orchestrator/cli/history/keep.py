"""`losttick run --history`: the run goes into the history when it ends."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli.exits import ExitCode, FailOn, despite_output, gravest, result_exit
from orchestrator.cli.history.options import opened
from orchestrator.cli.screen import Screen
from orchestrator.cli.text import say_error
from orchestrator.errors import InputError, LosttickError, own_fault
from orchestrator.results.history.place import load
from orchestrator.verdict.verdict import Ended

AddToHistory = Annotated[
    bool,
    typer.Option(
        "--history",
        help="Add the run to the history when it ends, and say first which findings are new.",
    ),
]


class RunFailOn(StrEnum):
    """A kind of result for which `losttick run` can end with a code other than 0."""

    AFFECTED = "affected"
    ANOMALOUS = "anomalous"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"
    NEW = "new"
    """A finding that the run before did not have."""


RunFailOnKinds = Annotated[
    list[RunFailOn] | None,
    typer.Option(
        "--fail-on",
        help="Kind of result that ends with an exit code other than 0. May be given more than "
        "once. `new`, with --history, means findings that the run before did not have.",
        show_default="every kind but new",
    ),
]


class NoHistoryError(InputError):
    """An option needs `--history`."""


@dataclass(slots=True)
class Keeper:
    """What becomes of a run in the history."""

    fail_on: frozenset[FailOn]
    """The kinds that count beside new findings."""
    on_new: bool = False
    """True if new findings count."""
    history: Any = None
    """The open history; None if the run is not added."""
    about: Any = None
    """The labels and the host of the run."""
    changes: Any = None
    """What is new, once the run was added."""
    failed: bool = False
    """True if the run could not be added."""

    def add(self, folder: Path) -> Sequence[str]:
        """Add the run that has ended; return what is new in it, in words.

        The run has its result, whatever becomes of the history. So no error ends the command.
        """
        if self.history is None:
            return ()
        try:
            entries, changing = load("entry"), load("changes")
            number, _ = self.history.add(entries.entry(folder, self.about))
            entries.keep_about(folder, self.about)
            self.changes = changing.changes(self.history, self.history.find(str(number)))
            sentences: Sequence[str] = changing.sentences(self.changes)
        except LosttickError as error:
            self._fail(str(error), folder)
        except Exception as error:
            self._fail(own_fault(f"adding {folder} to the history", error), folder)
        else:
            return sentences
        return ()

    def _fail(self, why: str, folder: Path) -> None:
        self.failed = True
        say_error(f"{why} The result stands; `losttick history add {folder}` adds it later.")

    def exit(self, ends: Iterable[Ended]) -> ExitCode:
        """Return the exit code of a run.

        If new findings count and it is not known which are new, every finding counts as new.
        """
        cells = list(ends)
        code = ExitCode.CLEAN
        if self.fail_on or not self.on_new:
            code = result_exit(cells, self.fail_on)
        if self.on_new:
            findings = result_exit(cells, (FailOn.AFFECTED, FailOn.ANOMALOUS))
            new = findings if self.changes is None else new_exit(self.changes.new)
            code = gravest([code, new])
        return despite_output(code) if self.failed else code


def say_changes(screen: Screen, sentences: Sequence[str]) -> None:
    """Print what is new in a run."""
    for sentence in sentences:
        screen.prose(sentence)
    if sentences:
        screen.space()


def new_exit(new: Iterable[tuple[str, str]]) -> ExitCode:
    """Return the exit code of new findings: 1 for the known bug, 5 for others."""
    kinds = {what for _, what in new}
    if "known bug" in kinds:
        return ExitCode.AFFECTED
    return ExitCode.ANOMALOUS if kinds else ExitCode.CLEAN


def kinds_of_cells(fail_on: Sequence[RunFailOn] | None) -> list[FailOn]:
    """Return the kinds of cells' results that `--fail-on` names."""
    return [FailOn(each.value) for each in fail_on or () if each is not RunFailOn.NEW]


def keeper(
    fail_on: Sequence[RunFailOn] | None,
    *,
    add: bool,
    labels: Sequence[str] | None,
    host: str | None,
    db: str | None,
) -> Keeper:
    """Return what the options ask for. The history is opened now, before a long run.

    Raises:
        NoHistoryError: an option needs `--history`.
        HistoryError: the history can't be opened.
    """
    kinds = frozenset(kinds_of_cells(fail_on))
    on_new = RunFailOn.NEW in (fail_on or ())
    if not add:
        needing = {"--fail-on new": on_new, "--label": labels, "--host": host, "--db": db}
        for option, given in needing.items():
            if given:
                raise NoHistoryError(f"reading the options: {option} needs --history")
        return Keeper(kinds)
    entries = load("entry")
    names = tuple(entries.checked_name(each, "label") for each in labels or ())
    named = entries.checked_name(host, "host") if host is not None else ""
    return Keeper(kinds, on_new, opened(db), entries.About(names, named))
