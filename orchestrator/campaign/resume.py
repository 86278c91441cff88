"""Reads a run, so that it can continue."""

from pathlib import Path
from typing import Any

from orchestrator.errors import InputError
from orchestrator.host.facts import HostFacts, QemuFacts
from orchestrator.host.identity import differing_facts
from orchestrator.journal.begun import has_begun
from orchestrator.journal.counts import CellState
from orchestrator.journal.file import JOURNAL, JournalFormatError
from orchestrator.journal.fold import RunState, read_state
from orchestrator.journal.out_folder import OutFolder
from orchestrator.journal.plain import plain


class ResumeError(InputError):
    """The run can't be resumed."""


def read_run(folder: Path, held: OutFolder | None = None) -> RunState:
    """Return the state of the run whose output is in a folder.

    A run that has ended is resumed, too: cells that were given up get another chance. If there
    are none, the state is `finished`.

    Args:
        folder: the folder.
        held: the same folder, if it is held open: the journal is then read from there.

    Raises:
        ResumeError: there is no such run, or it ran in labs.
    """
    doing = f"resuming the run in {folder}"
    try:
        if not has_begun(folder / JOURNAL, held):
            raise ResumeError(
                f"{doing}: it was cut off before it began. Start it again with the same command: "
                "the folder may be named with --out once more."
            )
        state = read_state(folder / JOURNAL, held)
    except OSError as error:
        raise ResumeError(f"{doing}: {JOURNAL}: {error.strerror}") from error
    except JournalFormatError as error:
        raise ResumeError(f"{doing}: {error}") from error
    if any(each.cell.host for each in state.cells.values()):
        raise ResumeError(
            f"{doing}: its cells ran in labs, and lab runs are not resumed. Start `losttick lab "
            "run` again."
        )
    return state


def changed_facts(
    before: HostFacts, now: HostFacts, guests: tuple[object, object] = ("", "")
) -> dict[str, tuple[Any, Any]]:
    """Return the facts that make a host another one, before and now, by their names.

    Args:
        before: facts of the host then.
        now: facts of the host now.
        guests: identity of the guests' images, then and now. It counts as a fact, too.
    """
    facts = {**differing_facts(before, now), "guests": guests}
    return {name: (plain(a), plain(b)) for name, (a, b) in facts.items() if a != b}


def counted_elsewhere(
    cell: CellState, facts: HostFacts, image: str, loader: QemuFacts | None = None
) -> bool:
    """Return whether a cell's trials were counted on another host, or with another guest image.

    Args:
        cell: the cell, with what it has counted.
        facts: the present host.
        image: SHA-256 of the guest's present image.
        loader: the present QEMU that loads, if it is another one than the QEMU that saves.
    """
    if cell.facts is None:
        return False
    if cell.loader != loader:
        return True
    return bool(changed_facts(cell.facts, facts, (cell.image, image)))
