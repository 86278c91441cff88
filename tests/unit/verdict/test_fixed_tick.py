"""First ticks that seem to come after what was left, and do not follow it from save to save."""

import random

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.journal.fold import fold
from orchestrator.journal.records import Record
from orchestrator.journal.trial_record import TrialRecord
from orchestrator.plan.load import build_plan
from orchestrator.verdict.run import CellResult, judge_cell
from orchestrator.verdict.verdict import Verdict
from tests.support.records import heads, save_record


def judged(saves: int, *, follows: bool, axes: dict[str, object], error: float) -> CellResult:
    """Return the result of a cell with two loads of each save, whose ticks err by a little."""
    plan = build_plan(
        {"axes": {"accel": "kvm", "period_ms": 50, **axes}, "limits": {"trials": 2 * saves}}, "test"
    )
    (cell,) = plan.cells(auto=None)  # type: ignore[arg-type]  # the plan leaves nothing open
    drawn = random.Random(saves)
    records: list[Record] = []
    for number in range(saves):
        phase = drawn.uniform(0.35, 0.65)
        came = (1 - phase if follows else 0.5) + drawn.gauss(0, error)
        records.append(save_record(cell, f"save{number}", phase))
        trial = TrialRecord(cell.id, f"save{number}", Outcome.REMAINING, (came, came, 50 * came))
        records += [trial, trial]
    run = fold([*heads(plan), *records])
    return judge_cell(run.cells[cell.id], run)


@pytest.mark.parametrize(
    ("saves", "follows", "axes", "found"),
    [
        (12, False, {}, True),
        (12, True, {}, False),
        (7, False, {}, False),
        (12, False, {"vcpus": 2}, False),
        (12, False, {"state": "in-service"}, False),
        (12, False, {"guest": "linux", "wait": "halt"}, False),
    ],
)
def test_ticks_at_one_time_after_saves_with_different_times_left(
    saves: int, follows: bool, axes: dict[str, object], found: bool
) -> None:
    result = judged(saves, follows=follows, axes=axes, error=0.02)
    assert ("whatever the saves had left of it" in result.why) is found
    if found:
        assert result.verdict is Verdict.ANOMALOUS
        assert "early: after loads of 12 saves the first tick came 0.49 periods after" in result.why


def test_ticks_that_follow_with_a_large_error_accuse_nobody() -> None:
    for saves in range(8, 60):
        assert not judged(saves, follows=True, axes={}, error=0.1).why.startswith("early")
