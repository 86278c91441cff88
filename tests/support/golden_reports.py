"""Runs whose reports stay as they are, and the reports: `tests/golden/reports`.

`python -m tests.support.golden_reports` writes the reports anew, to be read before they are kept.
"""

import contextlib
import gzip
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from orchestrator.journal.file import JOURNAL
from orchestrator.journal.line import encode
from orchestrator.results.outputs.github import annotations, summary
from orchestrator.results.outputs.output import OutputOptions
from orchestrator.results.outputs.table import output
from orchestrator.results.report import Report, read_report
from tests.support.old_journal import old_records
from tests.support.places import ROOT

GOLDEN = ROOT / "tests" / "golden"

REPORTS = GOLDEN / "reports"

#: Runs in folders: a lab run with the evidence of one loss, and a direct test.
FOLDERS = ("lab", "probe")

#: Journals in the old form, by name.
JOURNALS = ("affected", "real-interrupted", "skipped", "smp-mixed", "unknown")

NAMES = FOLDERS + JOURNALS

#: The kinds that are text, and the endings of their files.
KINDS = {"junit": "xml", "markdown": "md", "ktap": "ktap", "kcidb": "json", "github": "github.md"}

_AT = re.compile(rb'"at":"[^"]*"')


def laid(name: str, place: Path) -> Path:
    """Lay a run into a new folder; return that folder."""
    folder = place / name
    folder.mkdir(parents=True)
    if name in FOLDERS:
        source = GOLDEN / "runs" / name
        for packed in source.rglob("*.gz"):
            file = folder / packed.relative_to(source).with_suffix("")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(gzip.decompress(packed.read_bytes()))
        return folder
    with gzip.open(GOLDEN / "journals" / f"{name}.jsonl.gz", "rt") as journal:
        records = old_records(journal)
    lines = (encode(record, number) for number, record in enumerate(records, 1))
    fixed = _AT.sub(b'"at":"2026-11-26T01:02:03.004Z"', b"".join(lines))
    (folder / JOURNAL).write_bytes(fixed)
    return folder


def rendered(kind: str, report: Report) -> bytes:
    """Return a run in one form."""
    if kind == "github":
        lines = "".join(f"{line}\n" for line in annotations([report]))
        return lines.encode() + b"\n" + summary([report])
    return output(kind).render([report], OutputOptions())


@contextlib.contextmanager
def reports() -> Iterator[dict[str, Report]]:
    """Read every run, in a folder whose name no report has."""
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        yield {name: read_report(laid(name, Path())) for name in NAMES}


if __name__ == "__main__":
    REPORTS.mkdir(exist_ok=True)
    with reports() as found:
        for name, report in found.items():
            for kind, ending in KINDS.items():
                (REPORTS / f"{name}.{ending}").write_bytes(rendered(kind, report))
