"""The verdicts of runs and cells that did not come to their end."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.findings.cause import Cause, Diagnosis
from orchestrator.findings.lab import LabIdentity
from orchestrator.findings.outcome import Outcome
from orchestrator.journal.fold import fold
from orchestrator.journal.records import (
    CellRecord,
    HostRecord,
    InterruptedRecord,
    LabRecord,
    PlanRecord,
    Record,
    SkipRecord,
)
from orchestrator.journal.trial_record import Role, TrialRecord
from orchestrator.plan.cell import Cell
from orchestrator.plan.load import build_plan
from orchestrator.verdict.run import RunResult, judge_run
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.records import heads, save_record

PLAN = build_plan(
    {"axes": {"accel": "kvm"}, "limits": {"trials": 2, "rule_out": 0.9}, "seed": 1}, "test"
)


def loads(cell: Cell, outcome: Outcome, count: int = 2) -> list[Record]:
    """A control that was seen, and loads that each end in one outcome."""
    lost = (Diagnosis(Cause.LOST_INTERRUPT, "It is lost."),)
    found: list[Record] = [
        save_record(cell, "control", role=Role.CONTROL),
        TrialRecord(
            cell.id, "control", Outcome.LOST, role=Role.CONTROL, number=1, ticks_after_load=0,
            diagnoses=lost,
        ),
    ]  # fmt: skip
    for number in range(1, count + 1):
        tag = f"save{number}"
        found.append(save_record(cell, tag))
        if outcome is Outcome.LOST:
            found.append(
                TrialRecord(
                    cell.id, tag, outcome, number=number, ticks_after_load=0, diagnoses=lost
                )
            )
        else:
            found.append(TrialRecord(cell.id, tag, outcome))
    return found


def ended(cell: Cell) -> CellRecord:
    return CellRecord(cell.id, "", "", {}, {}, {}, {}, ())


def judged(*records: Record) -> RunResult:
    return judge_run(fold(records), Path("journal.jsonl"))


def test_a_cell_that_is_skipped_when_it_is_resumed_is_not_clean() -> None:
    """Its loads came to their end, but its last control did not."""
    (cell,) = PLAN.cells(Accel.KVM)
    done = [*heads(PLAN), *loads(cell, Outcome.IMMEDIATE)]
    assert judged(*done, ended(cell)).verdict is Verdict.CLEAN
    skipped = judged(*done, SkipRecord(cell.id, "there is no KVM any more"), ended(cell))
    assert skipped.verdict is Verdict.INCONCLUSIVE
    assert skipped.cells[0].why == "there is no KVM any more"


def test_a_loss_stays_a_loss_when_its_cell_is_skipped_later() -> None:
    (cell,) = PLAN.cells(Accel.KVM)
    lost = [*heads(PLAN), *loads(cell, Outcome.LOST)]
    skipped = judged(*lost, SkipRecord(cell.id, "there is no KVM any more"), ended(cell))
    assert skipped.verdict is Verdict.AFFECTED


@pytest.mark.parametrize("reached", [False, True])
def test_an_interrupted_lab_run_has_no_verdict_from_its_known_arms(*, reached: bool) -> None:
    (cell,) = PLAN.cells(Accel.KVM)
    arms = [
        LabIdentity("6.1.0-48", "6.1.176", "untouched", True, "Bochs"),
        LabIdentity("6.1.0-48", "6.1.176", "revert-fix", True, "Bochs", Verdict.AFFECTED),
    ]
    asked, known = (replace(cell, host=arm.name) for arm in arms)
    run = judged(
        *heads(PLAN)[:2],
        PlanRecord(PLAN.model_dump(mode="json"), (asked, known), Accel.KVM),
        *(LabRecord(each.id, arm) for each, arm in zip((asked, known), arms, strict=True)),
        HostRecord(cell=known.id),
        *loads(known, Outcome.LOST),
        ended(known),
        *([HostRecord(cell=asked.id), *loads(asked, Outcome.IMMEDIATE)] if reached else []),
        InterruptedRecord("CancelledError"),
    )
    assert [each.verdict for each in run.cells] == [Verdict.INCONCLUSIVE, Verdict.AFFECTED]
    assert run.verdict is Verdict.INCONCLUSIVE
    assert run.interrupted == "a signal stopped it"
    assert "--resume" not in run.cells[0].why
