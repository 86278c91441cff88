"""Output folders of runs of every kind, made from the journals in tests/golden."""

import functools
import gzip
from pathlib import Path

from orchestrator.journal.file import JOURNAL
from orchestrator.journal.line import encode
from tests.support.old_journal import old_records
from tests.support.places import GOLDEN

#: The journals, by name: clean, affected, interrupted, skipped and other runs.
OLD_JOURNALS = {
    path.name.removesuffix(".jsonl.gz"): path
    for path in sorted((GOLDEN / "journals").glob("*.jsonl.gz"))
}


def make_run_folder(name: str, folder: Path) -> Path:
    """Make the output folder of a run from one of the old journals; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JOURNAL).write_bytes(_journal(name))
    return folder


@functools.cache
def _journal(name: str) -> bytes:
    """Return an old journal as losttick writes it today."""
    with gzip.open(OLD_JOURNALS[name], "rt", encoding="utf-8") as old:
        records = old_records(old)
    return b"".join(encode(record, number) for number, record in enumerate(records, 1))
