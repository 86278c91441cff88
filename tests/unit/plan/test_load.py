from pathlib import Path

import pytest

from orchestrator.plan.faults import COMMAND_LINE, PlanError
from orchestrator.plan.load import build_plan, load_plan, merge
from orchestrator.vm.config import Accel


def faults(text: str, tmp_path: Path) -> tuple[str, ...]:
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(PlanError) as caught:
        load_plan(str(path), {})
    return caught.value.faults


def test_every_fault_is_listed_with_its_line(tmp_path: Path) -> None:
    found = faults(
        "seed = -1\n"
        "[limits]\n"
        "confidence = 3\n"
        'trials = "many"\n'
        "[axes]\n"
        "loads_per_save = [1, 26]\n"
        "[colours]\n",
        tmp_path,
    )
    assert [fault.split(":")[0] for fault in found] == [
        "line 1, seed",
        "line 6, axes.loads_per_save[2]",
        "line 3, limits.confidence",
        "line 4, limits.trials",
        "line 7, colours",
    ]
    assert "there is no such setting" in found[-1]
    assert "(given: 26)" in found[1]


def test_options_are_named_as_they_were_given() -> None:
    with pytest.raises(PlanError) as caught:
        build_plan({"axes": {"period_ms": [0]}, "limits": {"rule_out": 1e-12}}, COMMAND_LINE)
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["--period", "--rule-out"]


def test_what_is_not_toml(tmp_path: Path) -> None:
    (fault,) = faults("axes = [", tmp_path)
    assert fault.startswith("not TOML")
    (tmp_path / "plan.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(PlanError, match="not UTF-8"):
        load_plan(str(tmp_path / "plan.toml"), {})


def test_a_table_where_a_value_belongs(tmp_path: Path) -> None:
    assert faults("axes = 3\n", tmp_path)[0].startswith("line 1, axes")


def test_the_command_line_comes_before_the_file() -> None:
    merged = merge(
        {"axes": {"mode": "periodic", "accel": "tcg"}, "seed": 1},
        {"axes": {"mode": ["one-shot"], "accel": None}, "limits": {"trials": None}},
    )
    assert merged == {
        "axes": {"mode": ["one-shot"], "accel": "tcg"}, "seed": 1, "limits": {},
    }  # fmt: skip


def test_options_hold_for_included_cells_too(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text('[axes]\nmode = "periodic"\n[[include]]\nperiod_ms = 5\n')
    plan = load_plan(str(path), {"axes": {"accel": ["tcg"], "mode": None}})
    assert [cell.id for cell in plan.cells(Accel.KVM)] == [
        "tcg/periodic/xapic/hmp/auto/25loads",
        "tcg/one-shot/xapic/hmp/5ms/25loads",
    ]


def test_a_fault_in_one_of_several_tables_has_its_line(tmp_path: Path) -> None:
    found = faults(
        '[[include]]\nmode = "periodic"\n[[exclude]]\n[[include]]\nmode = "weekly"\n'
        '[axes]\nphase = [0.5, 2]\nvcpus = 9\nmachine = "pc,accel=tcg"\n',
        tmp_path,
    )
    assert [fault.split(":")[0] for fault in found] == [
        "line 7, axes.phase[2]",
        "line 9, axes.machine[1]",
        "line 8, axes.vcpus[1]",
        "line 3, exclude",
        "line 5, include[2].mode[1]",
    ]
