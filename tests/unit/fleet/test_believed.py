"""A run that came to its end has a verdict, also if some of its cells could be tried again."""

from pathlib import Path

from orchestrator.fleet.believed import run_that_ended
from orchestrator.journal.fold import read_state
from orchestrator.journal.line import encode
from orchestrator.journal.records import FailureRecord, VerdictRecord
from orchestrator.results.exit_code import ExitCode, result_exit
from tests.support.made_runs import exactly, make_run


def test_a_run_that_gave_a_cell_up_has_ended(tmp_path: Path) -> None:
    journal = make_run(tmp_path / "run", exactly(3, 299), ends=False) / "journal.jsonl"
    assert run_that_ended(tmp_path / "run") is None
    cell = next(iter(read_state(journal).cells))
    lines = journal.read_bytes().splitlines(keepends=True)
    last = [
        FailureRecord(cell, "a control could not be taken", ends_cell=True),
        VerdictRecord("affected", {}),
    ]
    lines += [encode(each, len(lines) + number) for number, each in enumerate(last, 1)]
    journal.write_bytes(b"".join(lines))
    assert not read_state(journal).finished, "a resumed run would have something left to do"
    run = run_that_ended(tmp_path / "run")
    assert run is not None
    assert result_exit(run.ends) is ExitCode.AFFECTED
