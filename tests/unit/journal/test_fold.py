"""Records folded to counts: by outcome, by save and by phase."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.bugs.known_bug import Symptom
from orchestrator.findings.cause import Cause, Diagnosis
from orchestrator.findings.outcome import STOPPED, Outcome
from orchestrator.journal.counts import CONTROL_TRIES, OrderError
from orchestrator.journal.file import Journal, JournalFormatError
from orchestrator.journal.fold import RunState, fold, read_state
from orchestrator.journal.records import (
    FORMAT,
    DirectRecord,
    FailureRecord,
    OutOfTimeRecord,
    Record,
    RestartRecord,
    ResumedRecord,
)
from orchestrator.journal.trial_record import Role, TrialRecord
from orchestrator.plan.load import build_plan
from orchestrator.testing import FACTS
from tests.support.records import heads, save_record

PLAN = build_plan({"axes": {"accel": "kvm"}, "limits": {"trials": 9, "rule_out": 0.5}}, "test")
(CELL,) = PLAN.cells(auto=None)  # type: ignore[arg-type]  # the plan leaves nothing open
IMMEDIATE, LOST, UNKNOWN = Outcome.IMMEDIATE, Outcome.LOST, Outcome.UNKNOWN


def trial(save: str, outcome: Outcome, periods: float | None = None, attempt: int = 1) -> Record:
    first = (periods, periods, 1.0) if periods is not None else None
    return TrialRecord(CELL.id, save, outcome, first, attempt=attempt)


def folded(*records: Record) -> RunState:
    return fold([*heads(PLAN), *records])


def test_what_trials_without_normal_ticks_showed() -> None:
    again = save_record(CELL, "again")
    again = replace(again, save=replace(again.save, generation=3))
    lost = (Diagnosis(Cause.LOST_INTERRUPT, "It is lost."),)
    cell = folded(
        save_record(CELL, "first"),
        trial("first", IMMEDIATE),
        TrialRecord(CELL.id, "first", LOST, ticks_after_load=0, diagnoses=lost),
        again,
        TrialRecord(CELL.id, "again", LOST, ticks_after_load=1, diagnoses=lost),
        trial("again", Outcome.EXTRA),
    ).cells[CELL.id]
    mode, cause = CELL.mode, Cause.LOST_INTERRUPT
    extra = next(each for each in cell.symptoms if each.outcome is Outcome.EXTRA)
    assert cell.symptoms == {
        Symptom(mode, LOST, cause, first_tick=True, loaded_before=False): 1,
        Symptom(mode, LOST, cause, first_tick=False, loaded_before=True): 1,
        extra: 1,
    }
    assert extra.loaded_before
    assert cell.bug_losses == 1


def test_outcomes_by_the_phase_of_their_save() -> None:
    state = folded(
        save_record(CELL, "save1", 0.05),
        trial("save1", IMMEDIATE, 0.01),
        trial("save1", LOST),
        save_record(CELL, "off", 0.5, ineligible=("off phase",)),
        save_record(CELL, "save2", 0.55, expired=True),
        trial("save2", LOST),
        save_record(CELL, "save3", 0.051),
        trial("save3", UNKNOWN, attempt=2),
        trial("save3", UNKNOWN, attempt=3),
        save_record(CELL, "save4", 1.02),
        save_record(CELL, "control", 0.0, role=Role.CONTROL),
        TrialRecord(CELL.id, "control", LOST, role=Role.CONTROL, number=1),
    )
    first, last, expired = state.cells[CELL.id].phases.bins
    assert (first.low, first.high, first.saves, first.expired) == (0.0, 0.1, 2, False)
    assert first.outcomes == {IMMEDIATE: 1, LOST: 1, UNKNOWN: 1}
    assert list(first.first_tick_periods) == [0.01]
    assert (last.low, last.saves, last.trials) == (0.9, 1, 0)
    assert (expired.low, expired.expired, expired.outcomes) == (0.5, True, {LOST: 1})


def test_a_retry_is_an_attempt_and_no_trial_until_it_is_the_last() -> None:
    records: list[Record] = [save_record(CELL, "save1")]
    counted = []
    for attempt in (1, 2, 3):
        records.append(trial("save1", UNKNOWN, attempt=attempt))
        cell = folded(*records).cells[CELL.id]
        counted.append((cell.attempts, cell.unknown_attempts, cell.trials))
    assert counted == [(1, 1, 0), (2, 2, 0), (3, 3, 1)]
    assert cell.by_save.first_loads == 0


def test_a_restart_drops_what_was_counted() -> None:
    state = folded(
        save_record(CELL, "save1"), trial("save1", LOST), RestartRecord(CELL.id, "its host changed")
    )
    cell = state.cells[CELL.id]
    assert (cell.trials, cell.saves, cell.facts, cell.phases.bins) == (0, 0, None, [])


def test_a_resumed_cell_gets_its_time_again() -> None:
    late = OutOfTimeRecord(CELL.id)
    assert folded(late).cells[CELL.id].out_of_time
    on = folded(late, ResumedRecord("test", {"tick": "sha"}, FACTS, {"kernel": ("a", "b")}))
    assert not on.cells[CELL.id].out_of_time
    assert on.changed == ("kernel",)


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([trial("save1", IMMEDIATE)], "load of save1, which is not the save before it"),
        (
            [save_record(CELL, "save2"), trial("save1", LOST)],
            "load of save1, which is not the save before it",
        ),
        ([RestartRecord("another", "")], "the plan has no cell another"),
        (heads(PLAN), "a second run begins"),
        ([heads(PLAN)[2]], "a second plan in the same journal"),
        ([DirectRecord(FORMAT, "test", (), 0.9)], "belongs in the journal of a direct test"),
    ],
)
def test_records_that_cannot_follow_each_other_are_refused_by_line(
    records: list[Record], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        for record in [*heads(PLAN), *records]:
            journal.write(record)
    line = len(heads(PLAN)) + (2 if "save2" in str(records[0]) else 1)
    with pytest.raises(JournalFormatError, match=rf"line {line}: .*{reason}"):
        read_state(path)
    with pytest.raises(OrderError):
        folded(*records)


def test_a_control_is_tried_again_until_its_last_try() -> None:
    save = save_record(CELL, "control")
    records = [
        TrialRecord(CELL.id, "control", UNKNOWN, role=Role.CONTROL, number=1, attempt=attempt)
        for attempt in range(1, CONTROL_TRIES + 1)
    ]
    assert not folded(save, *records[:-1]).cells[CELL.id].controls
    (control,) = folded(save, *records).cells[CELL.id].controls
    assert not control.seen


@pytest.mark.parametrize("generation", [0, 3])
@pytest.mark.parametrize("outcome", sorted(Outcome))
def test_a_guest_that_stops_in_a_sham_before_any_load_is_counted(
    outcome: Outcome, generation: int
) -> None:
    stood = save_record(CELL, "sham1")
    stood = replace(stood, save=replace(stood.save, generation=generation), role=Role.SHAM)
    sham = TrialRecord(CELL.id, "sham1", outcome, role=Role.SHAM, number=1, pair=1, why="it stood")
    cell = folded(save_record(CELL, "first"), stood, sham).cells[CELL.id]
    counted = outcome in STOPPED and not generation
    assert cell.stopped_unloaded.total() == counted
    assert cell.stopped_why == ("it stood" if counted else "")


def test_what_stopped_on_another_host_is_dropped_with_its_trials() -> None:
    failed = FailureRecord(CELL.id, "no tick", stopped=LOST)
    assert folded(failed).cells[CELL.id].stopped_unloaded == {LOST: 1}
    cell = folded(failed, RestartRecord(CELL.id, "another kernel")).cells[CELL.id]
    assert not cell.stopped_unloaded
