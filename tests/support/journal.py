"""Reads a journal as plain objects, with everything that a short line leaves out."""

from pathlib import Path
from typing import Any

from orchestrator.findings.outcome import Outcome
from orchestrator.journal.file import read_journal
from orchestrator.journal.plain import plain
from orchestrator.journal.records import (
    KINDS,
    Record,
    SaveRecord,
)
from orchestrator.journal.trial_record import TrialRecord

_NAMES = {kind: name for name, kind in KINDS.items()}


def journal_dicts(path: Path) -> list[dict[str, Any]]:
    """Return the records of a journal as objects.

    A save has the fields of its first vCPU, and a trial has all of its `vcpus` and the
    telling vCPU's `diagnosis`, beside their own.
    """
    return [_as_dict(record) for record in read_journal(path)]


def _as_dict(record: Record) -> dict[str, Any]:
    fields: dict[str, Any] = {"record": _NAMES[type(record)], **plain(record)}
    if isinstance(record, SaveRecord):
        save = record.save
        fields |= plain(save.first) | fields.pop("save")
        fields |= {"eligible": save.eligible, "ineligible": list(save.ineligible)}
    if isinstance(record, TrialRecord):
        fields["vcpus"] = [plain(part) for part in record.vcpus]
        fields["diagnosis"] = plain(record.diagnosis)
    return fields


def why_unknown(journal: Path) -> str:
    """Return the words of the only attempt in a journal that ended unknown."""
    (why,) = [
        record["why"]
        for record in journal_dicts(journal)
        if record["record"] == "trial" and record["outcome"] == Outcome.UNKNOWN
    ]
    return str(why)
