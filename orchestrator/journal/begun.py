"""Whether a run wrote enough of its journal to have begun.

A full disk or a kill in a run's first moments leaves a journal that says what ran and where, but
not what was planned. Nothing can be continued or reported from it, and nothing is lost with it.
"""

from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.journal.file import JOURNAL
from orchestrator.journal.journal_file import open_journal
from orchestrator.journal.out_folder import OutFolder

#: Records that stand before the plan of a run, or before the series of a direct test.
_HEADS = (b'{"record":"run"', b'{"record":"direct"', b'{"record":"host"')

#: Bytes beyond which a journal has begun, or is none.
_MOST = 1 << 20


def has_begun(path: Path, folder: OutFolder | None = None) -> bool:
    """Return whether a journal has more than what ran and where. A foreign file counts as begun.

    Args:
        path: of the journal.
        folder: its folder, if that is held open: the journal is opened there.

    Raises:
        OSError: the file can't be read.
        JournalFormatError: it is not a file.
    """
    with open_journal(path, folder) as journal:
        start = journal.read(_MOST)
    *whole, torn = start.split(b"\n")
    if not whole:
        return not any(head.startswith(torn[: len(head)]) for head in _HEADS)
    return len(start) == _MOST or not all(line.startswith(_HEADS) for line in whole)


def run_began(folder: Path) -> bool:
    """Return whether a folder has the journal of a run that began."""
    try:
        return has_begun(folder / JOURNAL)
    except (OSError, InputError):
        return False
