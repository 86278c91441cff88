"""A folder for each trial that did not plainly tick, with all that was read of it."""

import json
from pathlib import Path

from orchestrator.findings.outcome import TrialResult
from orchestrator.findings.save import Save
from orchestrator.journal.plain import plain
from orchestrator.trial.examine import Hang


def write_evidence(folder: Path, cell: str, save: Save, result: TrialResult, hang: Hang) -> None:
    """Write what was read of a trial's instance, and its diagnoses, into a new folder.

    Args:
        folder: that is created, with its parents.
        cell: the id of the cell.
        save: that was loaded.
        result: of the trial.
        hang: the evidence and the diagnoses.

    Raises:
        OSError: the folder or a file can't be written.
    """
    folder.mkdir(parents=True)
    seen = {
        "cell": cell, "diagnosis": hang.diagnosis_of(result.telling), "trial": result,
        "save": save, "evidence": hang.evidence,
    }  # fmt: skip
    (folder / "evidence.json").write_text(json.dumps(plain(seen), indent=2) + "\n")
    if hang.diagnoses:
        said = (f"{each.cause}\n\n{each.sentence}\n" for each in hang.diagnoses)
        (folder / "diagnosis.txt").write_text("\n".join(said))
    if odd := [part for part in result.vcpus if not part.outcome.ticked and part.why]:
        reasons = (f"vCPU {part.vcpu}: {part.outcome}\n\n{part.why}.\n" for part in odd)
        (folder / "why.txt").write_text("\n".join(reasons))
    (folder / "console.txt").write_text(hang.evidence.console_tail)
    if hang.evidence.trace:
        (folder / "trace.txt").write_text(hang.evidence.trace)
