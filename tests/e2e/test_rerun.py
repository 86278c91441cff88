"""The command on the page of a run repeats the run."""

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.journal.file import read_journal
from orchestrator.journal.records import PlanRecord, RunRecord, SaveRecord
from orchestrator.journal.trial_record import Role
from orchestrator.results.report import read_report
from orchestrator.results.rerun import rerun
from tests.support.command import losttick_command


def course(folder: Path) -> list[object]:
    """Return the seed and the cells of a run, and the phase of each cell's first save."""
    found: list[object] = []
    first: dict[str, float] = {}
    for record in read_journal(folder / "journal.jsonl"):
        if isinstance(record, RunRecord):
            found.append(record.seed)
        if isinstance(record, PlanRecord):
            found += [cell.id for cell in record.cells]
        if isinstance(record, SaveRecord) and record.role is Role.HOST:
            first.setdefault(record.cell, record.save.intended_phase)
    return [*found, sorted(first.items())]


@pytest.mark.thorough
@pytest.mark.timeout(600)
def test_the_command_repeats_the_run(tmp_path: Path) -> None:
    options = (
        "--accel tcg --mode one-shot --mode periodic --period 50 --phase 0.3-0.7 --trials 2 "
        "--rule-out 0.8 --controls 0"
    )
    subprocess.run(
        losttick_command("run", *options.split(), "--out", str(tmp_path / "first")),
        capture_output=True, check=False,
    )  # fmt: skip
    command = rerun(read_report(tmp_path / "first"))
    shim = tmp_path / "losttick"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m orchestrator "$@"\n')
    shim.chmod(0o755)
    line = f"PATH={tmp_path}:$PATH; {command} --out {tmp_path / 'again'}"
    subprocess.run(["sh", "-c", line], capture_output=True, check=False, cwd=tmp_path)
    assert course(tmp_path / "again") == course(tmp_path / "first")
