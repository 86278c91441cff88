"""A tick that a timer lost which runs on by itself is a missed one."""

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.journal.fold import fold
from orchestrator.journal.records import Record
from orchestrator.journal.trial_record import Role, TrialRecord
from orchestrator.plan.cell import Cell
from orchestrator.plan.load import build_plan
from orchestrator.verdict.run import CellResult, judge_cell
from orchestrator.verdict.verdict import Verdict
from tests.support.records import heads, save_record

#: Enough loads to rule out 1 % with 95 % confidence, and some missed ones.
LOADS = 299


def trials(cell: Cell, role: Role, missed: int, of: int) -> list[Record]:
    """Return trials of pairs, of which the first ones missed a tick."""
    return [
        TrialRecord(
            cell.id, "save1", Outcome.MISSED if number <= missed else Outcome.IMMEDIATE,
            (0.1, 0.1, 2.0), role=role, pair=number,
        )
        for number in range(1, of + 1)
    ]  # fmt: skip


def judged(mode: str, missed: int, missed_by_shams: int) -> CellResult:
    """Return a cell in which each load has a sham; pairs agree as often as they can."""
    axes = {"accel": "kvm", "mode": mode}
    plan = build_plan({"axes": axes, "limits": {"trials": LOADS}, "seed": 1}, "test")
    records = heads(plan)
    (cell,) = [each for record in records for each in getattr(record, "cells", ())]
    loads = trials(cell, Role.HOST, missed, LOADS)
    shams = trials(cell, Role.SHAM, missed_by_shams, LOADS)
    paired = [record for pair in zip(loads, shams, strict=True) for record in pair]
    for number in (1, 2):
        swallowed = Outcome.LOST if mode == "one-shot" else Outcome.MISSED
        records += [
            save_record(cell, f"control{number}", role=Role.CONTROL),
            TrialRecord(
                cell.id, f"control{number}", swallowed, role=Role.CONTROL, number=number,
                ticks_after_load=0,
            ),
        ]  # fmt: skip
    found = fold([*records, save_record(cell, "save1"), *paired])
    return judge_cell(found.cells[cell.id], found)


@pytest.mark.parametrize("mode", ["periodic", "pit"])
@pytest.mark.parametrize(
    ("missed", "by_shams", "lost"), [(6, 0, 6), (6, 2, 4), (1, 0, 1), (6, 6, 0), (0, 5, 0)]
)
def test_missed_ticks_that_no_sham_matches_may_be_losses(
    mode: str, missed: int, by_shams: int, lost: int
) -> None:
    found = judged(mode, missed, by_shams)
    said = f"with {lost} missed ticks of a timer that runs on by itself counted as lost"
    assert (said in found.why) is (lost > 0)
    assert found.losses.unresolved == lost
    assert found.verdict is (Verdict.INCONCLUSIVE if lost else Verdict.CLEAN)


@pytest.mark.parametrize(("mode", "lost"), [("one-shot", 0), ("tsc-deadline", 0), ("rtc", 6)])
def test_a_guest_that_arms_its_timer_falls_silent_at_a_loss(mode: str, lost: int) -> None:
    assert judged(mode, 6, 0).losses.unresolved == lost
