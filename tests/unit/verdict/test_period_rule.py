"""The rule of changed periods: which times of which vCPU it compares, and what it says."""

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.journal.fold import fold
from orchestrator.journal.gap_samples import MOST
from orchestrator.journal.records import Record
from orchestrator.journal.trial_record import Role, TrialRecord, VcpuTrial
from orchestrator.plan.load import build_plan
from orchestrator.verdict.run import CellResult, judge_cell
from orchestrator.verdict.verdict import Verdict
from tests.support.records import heads, save_record

VCPUS = 2
PLAN = build_plan(
    {
        "axes": {"accel": "kvm", "vcpus": VCPUS, "period_ms": 20},
        "limits": {"trials": 9, "rule_out": 0.5},
    },
    "test",
)
(CELL,) = PLAN.cells(auto=None)  # type: ignore[arg-type]  # the plan leaves nothing open


def judged(*records: Record) -> CellResult:
    run = fold([*heads(PLAN), *records])
    return judge_cell(run.cells[CELL.id], run)


def loads(first: float, second: float, number: int = 30) -> list[Record]:
    """Return the records of loads with the period of each vCPU after them."""
    other = VcpuTrial(1, Outcome.IMMEDIATE, gaps=(second, second))
    one = TrialRecord(CELL.id, "save1", Outcome.IMMEDIATE, gaps=(first, first), others=(other,))
    return [one] * number


BEFORE = save_record(CELL, "save1", gaps=(1.0,) * 9)


@pytest.mark.parametrize(
    ("periods", "said"),
    [
        ((1.0, 1.0), None),
        (
            (1.05, 1.0),
            "period of vCPU 0 is 5.0% longer after loads (60 times between ticks) than before (9;",
        ),
        ((1.0, 0.95), "period of vCPU 1 is 5.0% shorter after loads (60 times"),
        ((1.05, 0.95), "and that of vCPU 1 changed as well"),
    ],
)
def test_each_vcpu_is_compared_with_itself(periods: tuple[float, float], said: str | None) -> None:
    cell = judged(BEFORE, *loads(*periods))
    assert (cell.verdict is Verdict.ANOMALOUS) is bool(said), cell.why
    assert (said or "") in cell.why
    assert cell.why.count("the timer's period") == bool(said)


def test_a_changed_period_is_told_beside_another_fault() -> None:
    cell = judged(BEFORE, *loads(1.05, 1.0), TrialRecord(CELL.id, "save1", Outcome.EXTRA))
    assert cell.verdict is Verdict.ANOMALOUS
    assert "Besides, rate: the timer's period of vCPU 0 is 5.0% longer" in cell.why


def test_the_vcpus_share_the_error() -> None:
    """p of n times after one is 1 / (n + 1), and 1 % is shared by two vCPUs and directions."""
    before = save_record(CELL, "save1", gaps=(1.0,))
    for number, found in ((150, False), (250, True)):
        cell = judged(before, *loads(1.05, 1.0, number))
        assert (cell.verdict is Verdict.ANOMALOUS) is found, cell.why


def test_shams_before_any_load_count_as_before() -> None:
    """The host was slower from its first sham on, so the loads are not to blame."""
    slow = TrialRecord(
        CELL.id, "sham1", Outcome.IMMEDIATE, role=Role.SHAM, pair=1, gaps=(1.05,) * 9,
        others=(VcpuTrial(1, Outcome.IMMEDIATE, gaps=(1.05,) * 9),),
    )  # fmt: skip
    assert judged(BEFORE, *loads(1.05, 1.05)).verdict is Verdict.ANOMALOUS
    assert judged(BEFORE, slow, *loads(1.05, 1.05)).verdict is not Verdict.ANOMALOUS


def test_the_first_times_of_a_cell_are_kept() -> None:
    run = fold([*heads(PLAN), BEFORE, *loads(1.0, 1.0, MOST // 2 + 9)])
    samples = run.cells[CELL.id].gaps
    assert [len(samples.after[vcpu]) for vcpu in range(VCPUS)] == [MOST, MOST]
    assert samples.wanted_after(VCPUS) == set()
    assert samples.wanted_before(VCPUS) == {0, 1}
