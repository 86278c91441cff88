"""What the packer of a bundle knew, and the journal does not say."""

import json
from pathlib import Path

from orchestrator.process.existence import is_file

#: The file of a bundle that says it.
HOST_FILE = "host.json"

#: Its key of where the host went down during the run.
WENT_DOWN = "went_down"

_MOST_BYTES = 8 << 20


def packer_saw_it_go_down(source: Path) -> bool:
    """Return whether a run was packed on its host, which had gone down during the run.

    Only there it can be known, and the bundle's word must be taken for it. False for a folder.
    """
    if not is_file(source):
        return False
    # Few results are in bundles, and Zstandard takes its time to import.
    from orchestrator.journal.archive import open_member

    try:
        with open_member(source, HOST_FILE) as file:
            facts = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(facts, dict) and bool(facts.get(WENT_DOWN))
