"""Histories that are lists: kernels or QEMUs, oldest first."""

import re
from collections.abc import Sequence
from pathlib import Path

from orchestrator.bisect.candidate import Candidate, History, HistoryError, line_of
from orchestrator.bisect.rules import Find
from orchestrator.process.existence import no_file
from orchestrator.process.home import expanded

#: A comma parts two kernels only before a kind of kernel: `deb:FILE,FILE` is one.
_BETWEEN_KERNELS = re.compile(r"\s+|,(?=(?:[\w.+~-]+=)?(?:debian|deb|tree|git):)")
_BETWEEN_PATHS = re.compile(r"\s+|,")


def listed_kernels(said: Sequence[str]) -> list[str]:
    """Return the names of kernels that options list.

    Raises:
        HistoryError: a file of names can't be read.
    """
    return [name for each in said for name in _names(each, _BETWEEN_KERNELS)]


def listed_qemus(said: Sequence[str]) -> list[str]:
    """Return the paths of QEMU binaries that options list, as absolute ones.

    Raises:
        HistoryError: a file of paths can't be read, or a path is no file.
    """
    found = []
    for each in said:
        for name in _names(each, _BETWEEN_PATHS):
            path = expanded(name, "bisecting QEMUs")
            if why := no_file(path, name, readable=False):
                raise HistoryError(f"bisecting QEMUs: {why}")
            found.append(str(path.absolute()))
    return found


def list_history(
    names: Sequence[str], good: str | None, bad: str | None, find: Find = Find.BREAK
) -> History:
    """Return the history of a list.

    Args:
        names: the members, oldest first.
        good: the member that does not lose; None for the end where it must be.
        bad: the member that loses; None likewise.
        find: what is to be found: it says which of the two is the older one.

    Raises:
        HistoryError: an end is not in the list, or the ends are in the wrong order.
    """
    old, new = (good, bad) if find is Find.BREAK else (bad, good)
    first = _place(names, old, 0)
    last = _place(names, new, len(names) - 1)
    if first >= last and len(names) > 1:
        older, newer = ("--good", "--bad") if find is Find.BREAK else ("--bad", "--good")
        raise HistoryError(
            f"bisecting a list: {older} must come before {newer} in it. List the oldest first; to "
            f"find the {'first losing' if find is Find.FIX else 'fix'}, "
            f"{'leave out' if find is Find.FIX else 'add'} --find fix"
        )
    return line_of([Candidate(name) for name in names[first : last + 1]])


def _place(names: Sequence[str], name: str | None, default: int) -> int:
    if name is None:
        return default
    found = [index for index, each in enumerate(names) if name in (each, Path(each).name)]
    if len(found) != 1:
        raise HistoryError(
            f"bisecting a list: {name} is {'not in it' if not found else 'in it more than once'}"
        )
    return found[0]


def _names(said: str, between: re.Pattern[str]) -> list[str]:
    """Return the names that one option lists: those of a file after `@`, one a line."""
    if not said.startswith("@"):
        return [name for name in between.split(said.strip()) if name]
    file = expanded(said[1:], "reading a list")
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise HistoryError(f"reading the list {file}: {why}") from error
    stripped = [line.strip() for line in lines]
    return [line for line in stripped if line and not line.startswith("#")]
