"""Where a run was made: on this computer, whose names are known, or on another one."""

import enum
from pathlib import Path

from orchestrator.host.boot import boot_here
from orchestrator.journal.file import JOURNAL, read_journal
from orchestrator.results.bundling.secrets import is_stand_in


class Origin(enum.Enum):
    """The computer on which a run was made."""

    HERE = enum.auto()
    """This computer, or the run is anonymous already."""
    ELSEWHERE = enum.auto()
    UNKNOWN = enum.auto()
    """The journal names no computer, or this one has no id."""


def origin(source: Path) -> Origin:
    """Return where the run in an output folder or in a bundle was made.

    A run that was resumed on several computers was made elsewhere.

    Raises:
        OSError: the journal can't be read.
        JournalFormatError: the journal can't be understood.
    """
    here = boot_here().machine
    named = {getattr(record, "machine", "") for record in read_journal(source / JOURNAL)} - {""}
    machines = {name for name in named if not is_stand_in(name)}
    if not here or not named:
        return Origin.UNKNOWN
    return Origin.HERE if machines <= {here} else Origin.ELSEWHERE
