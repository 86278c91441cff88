"""The plans that come with losttick, and the schema that editors read."""

import tomllib
from pathlib import Path

import pytest

from orchestrator.plan.cost import expected_s
from orchestrator.plan.faults import PlanError
from orchestrator.plan.load import load_plan
from orchestrator.plan.names import SHIPPED, shipped_plans
from orchestrator.plan.plan import Plan
from orchestrator.vm.config import Accel


def test_which_plans_are_shipped() -> None:
    assert shipped_plans() == ["android", "deep", "methods", "nightly", "quick"]


@pytest.mark.parametrize("name", ["android", "deep", "methods", "nightly", "quick"])
@pytest.mark.parametrize("auto", list(Accel))
def test_every_shipped_plan_has_cells_and_rules_out_what_it_says(name: str, auto: Accel) -> None:
    plan = load_plan(name, {})
    cells = plan.cells(auto)
    assert len({cell.id for cell in cells}) == len(cells) > 1
    assert plan.limits.planned >= plan.limits.needed
    assert plan.controls == 2


def test_the_quick_plan_is_quick() -> None:
    plan = load_plan("quick", {})
    cells = plan.cells(Accel.KVM)
    assert (len(cells), plan.limits.planned) == (12, 300)
    # Two at a time, as a machine of two cores runs them.
    assert sum(expected_s(cell, plan) for cell in cells) / 2 < 60


def test_time_is_limited_where_a_plan_says_so() -> None:
    plan = load_plan("deep", {"limits": {"seconds": 1.0}, "controls": 0})
    assert all(expected_s(cell, plan) < 2 for cell in plan.cells(Accel.KVM))


def test_a_file_is_found_by_its_path_and_a_plan_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "nightly").write_text("seed = 9")
    assert load_plan(str(tmp_path / "nightly"), {}).seed == 9
    assert load_plan("nightly", {}).seed is None
    with pytest.raises(PlanError, match=r"nor a shipped plan of that name .*quick"):
        load_plan("nonesuch", {})


def test_shipped_plans_name_only_what_is_there() -> None:
    for name in shipped_plans():
        text = (SHIPPED / f"{name}.toml").read_text()
        assert text.startswith("# "), "a plan says what it is for"
        assert not set(tomllib.loads(text)) - set(Plan.model_fields)
