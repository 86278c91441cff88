import pytest

from orchestrator.plan.faults import PlanError
from orchestrator.plan.load import build_plan
from orchestrator.plan.plan import NoCellsError, Plan
from orchestrator.vm.config import Accel
from tests.support.plans import ids


def test_an_empty_plan_is_one_cell() -> None:
    (cell,) = build_plan({}, "test").cells(Accel.TCG)
    assert cell.id == "tcg/one-shot/xapic/hmp/auto/25loads"


def test_what_does_not_repeat_its_loads_has_one() -> None:
    assert ids({"axes": {"cycle": "chain", "loads_per_save": [5, 25]}}) == [
        "kvm/one-shot/xapic/hmp/auto/chain"
    ]


def test_exclude_takes_away_and_include_adds() -> None:
    found = ids(
        {
            "axes": {"mode": ["one-shot", "periodic"], "irqchip": ["on", "split"]},
            "exclude": [{"mode": "periodic", "irqchip": ["split", "off"]}, {"accel": "tcg"}],
            "include": [{"period_ms": 5, "phase": [0.1, 0.9]}, {"mode": "periodic"}],
        }
    )
    assert found == [
        "kvm/one-shot/xapic/hmp/auto/25loads",
        "kvm/one-shot/xapic/hmp/auto/25loads/irqchip=split",
        "kvm/periodic/xapic/hmp/auto/25loads",
        "kvm/one-shot/xapic/hmp/5ms/25loads/phase=0.1",
        "kvm/one-shot/xapic/hmp/5ms/25loads/phase=0.9",
    ]


def test_a_plan_without_cells_is_no_plan() -> None:
    with pytest.raises(NoCellsError, match="leave no cell"):
        ids({"exclude": [{"accel": "tcg"}]}, Accel.TCG)
    with pytest.raises(PlanError, match="an empty table would leave out every cell"):
        build_plan({"exclude": [{}]}, "test")


def test_too_many_cells_are_a_fault() -> None:
    with pytest.raises(PlanError, match="span 40,000 cells, more than 10,000"):
        build_plan({"axes": {"period_ms": [10] * 200, "memory_mib": [8] * 200}}, "test")


def test_a_plan_comes_back_from_the_journal_as_it_was() -> None:
    plan = build_plan(
        {
            "axes": {"mode": ["one-shot", "periodic"], "phase": [0.25, "0.1-0.9", "expired"]},
            "exclude": [{"mode": "periodic", "phase": "expired"}],
            "include": [{"irqchip": "split"}],
            "limits": {"seconds": 5},
        },
        "test",
    )
    again = Plan.model_validate(plan.model_dump(mode="json"))
    assert again.cells(Accel.KVM) == plan.cells(Accel.KVM)
    assert again.limits == plan.limits
