"""What the page counts of single trials."""

from pathlib import Path

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.journal.line import encode
from orchestrator.journal.records import RestartRecord
from orchestrator.journal.trial_record import Role, TrialRecord
from orchestrator.results.outputs.html.trials import (
    BINS,
    CellTrials,
    Hang,
    pick_hangs,
    read_trials,
)


def trial(outcome: Outcome, evidence: str | None = None, **fields: object) -> TrialRecord:
    return TrialRecord("c", "s", outcome, evidence=evidence, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("planned", [1, 39, 40, 41, 299, 1_000])
def test_each_trial_is_in_one_bin(planned: int) -> None:
    cell = CellTrials(planned)
    for number in range(planned):
        cell.count(trial(Outcome.LOST if number % 3 == 0 else Outcome.IMMEDIATE))
    assert len(cell.bins) <= BINS
    assert sum(found.total() for found in cell.bins) == planned
    assert {found.total() for found in cell.bins[:-1]} <= {cell.bin_size}


def test_a_trial_that_is_tried_again_counts_once() -> None:
    cell = CellTrials(2)
    cell.count(trial(Outcome.UNKNOWN))
    cell.count(trial(Outcome.UNKNOWN, attempt=2))
    cell.count(trial(Outcome.IMMEDIATE, attempt=3))
    for attempt in (1, 2, 3):
        cell.count(trial(Outcome.UNKNOWN, attempt=attempt))
    assert [dict(each) for each in cell.bins] == [{Outcome.IMMEDIATE: 1}, {Outcome.UNKNOWN: 1}]


def test_trials_after_the_result_was_read_are_not_counted() -> None:
    cell = CellTrials(1)
    cell.count(trial(Outcome.IMMEDIATE))
    cell.count(trial(Outcome.LOST))
    assert [dict(each) for each in cell.bins] == [{Outcome.IMMEDIATE: 1}]


def test_hangs_of_every_kind_are_kept() -> None:
    cell = CellTrials(10)
    for outcome in [Outcome.LOST] * 5 + [Outcome.CRASHED, Outcome.LOST, Outcome.MISSED]:
        cell.count(trial(outcome, "evidence/x"))
    kept = [(each.number, each.trial.outcome) for each in cell.hangs]
    assert kept == [(1, Outcome.LOST), (8, Outcome.MISSED), (6, Outcome.CRASHED)]
    assert cell.with_evidence == 8


def test_each_cell_shows_a_hang_before_another_shows_two() -> None:
    cells = {name: CellTrials(9) for name in "abc"}
    for name in "abc":
        cells[name].hangs = [Hang(trial(Outcome.LOST, "e"), number) for number in (1, 2, 3)]
    shown = [(name, hang.number) for name, hang in pick_hangs(cells, 4)]
    assert shown == [("a", 1), ("a", 2), ("b", 1), ("c", 1)]
    assert len(list(pick_hangs(cells, 30))) == 9


def test_controls_shams_and_trials_before_a_restart_do_not_count(tmp_path: Path) -> None:
    records = [
        trial(Outcome.LOST, "evidence/1"),
        RestartRecord("c", "another host"),
        trial(Outcome.LOST, "evidence/2", role=Role.CONTROL),
        trial(Outcome.LATE, role=Role.SHAM),
        trial(Outcome.IMMEDIATE),
    ]
    journal = tmp_path / "journal"
    head = b'{"record":"run","seq":1,"format":1,"losttick":"","seed":1,"guests":{}}\n'
    journal.write_bytes(head + b"".join(encode(each, n) for n, each in enumerate(records, 2)))
    cell = read_trials(journal, {"c": 5})["c"]
    assert [dict(each) for each in cell.bins] == [{Outcome.IMMEDIATE: 1}]
    assert cell.hangs == []
