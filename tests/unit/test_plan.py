import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.guest.apic import Apic
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.plan.cell import Cell
from orchestrator.plan.load import COMMAND_LINE, PlanError, build_plan, load_plan, merge
from orchestrator.plan.phase import EXPIRED, RANDOM, Phase
from orchestrator.plan.plan import NoCellsError, Plan
from orchestrator.snapshot.method import Method
from orchestrator.vm.argv import qemu_args
from orchestrator.vm.config import Accel, IrqChip


def faults(text: str, tmp_path: Path) -> tuple[str, ...]:
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(PlanError) as caught:
        load_plan(str(path), {})
    return caught.value.faults


def test_an_empty_plan_is_one_cell() -> None:
    (cell,) = build_plan({}, "test").cells(Accel.TCG)
    assert cell.id == "tcg/one-shot/xapic/hmp/20ms/25loads"


def test_axes_span_cells_with_stable_ids() -> None:
    data = {"axes": {"accel": ["auto", "kvm", "tcg"], "mode": ["periodic", "one-shot"]}}
    ids = [cell.id for cell in build_plan(data, "test").cells(Accel.KVM)]
    assert len(ids) == len(set(ids)) == 4
    data["axes"]["mode"].reverse()
    assert set(ids) == {cell.id for cell in build_plan(data, "test").cells(Accel.KVM)}


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


PLAIN = Cell(Accel.KVM, TimerMode.ONE_SHOT, Apic.XAPIC, Method.HMP, 20_000_000, 25)


def ids(data: dict[str, object], auto: Accel = Accel.KVM) -> list[str]:
    return [cell.id for cell in build_plan(data, "test").cells(auto)]


def test_an_id_names_what_is_not_as_by_default_in_the_order_of_names() -> None:
    (cell,) = ids(
        {
            "axes": {
                "phase": "expired", "irqchip": "split", "memory_mib": 64, "machine": "q35",
                "cpu": "qemu64", "vcpus": 1, "qemu": "/opt/q/qemu", "period_ms": 2.5,
            }
        }
    )  # fmt: skip
    assert cell == (
        "kvm/one-shot/xapic/hmp/2.5ms/25loads/irqchip=split/machine=q35/memory_mib=64"
        "/phase=expired/qemu=/opt/q/qemu"
    )


AXES: dict[str, list[object]] = {
    "mode": ["one-shot", "periodic"],
    "method": ["hmp", "jobs"],
    "cycle": ["repeat", "chain"],
    "phase": ["random", 0.25, "expired"],
    "irqchip": ["on", "split"],
    "machine": ["pc", "q35"],
}


@given(st.data())
def test_ids_survive_reordering(data: st.DataObject) -> None:
    """Of axes, and of values in each; and they are as many as there are cells."""
    names = data.draw(st.permutations(list(AXES)))
    axes = {name: data.draw(st.permutations(AXES[name])) for name in names}
    found = ids({"axes": axes})
    assert len(found) == len(set(found)) == 96
    assert set(found) == set(ids({"axes": AXES}))


def test_ids_survive_another_axis() -> None:
    """One that is added keeps the cells in which it is as it was before."""
    before = {"axes": {"mode": ["one-shot", "periodic"]}}
    after = {"axes": {"mode": ["one-shot", "periodic"], "machine": ["q35", "pc"]}}
    assert set(ids(before)) < set(ids(after))


def test_ids_tell_near_periods_apart() -> None:
    assert len(set(ids({"axes": {"period_ms": [1000.0001, 1000.0002]}}))) == 2


def test_what_does_not_repeat_its_loads_has_one() -> None:
    assert ids({"axes": {"cycle": "chain", "loads_per_save": [5, 25]}}) == [
        "kvm/one-shot/xapic/hmp/20ms/chain"
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
        "kvm/one-shot/xapic/hmp/20ms/25loads",
        "kvm/one-shot/xapic/hmp/20ms/25loads/irqchip=split",
        "kvm/periodic/xapic/hmp/20ms/25loads",
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


def test_options_hold_for_included_cells_too(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text('[axes]\nmode = "periodic"\n[[include]]\nperiod_ms = 5\n')
    plan = load_plan(str(path), {"axes": {"accel": ["tcg"], "mode": None}})
    assert [cell.id for cell in plan.cells(Accel.KVM)] == [
        "tcg/periodic/xapic/hmp/20ms/25loads",
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


@pytest.mark.parametrize(
    ("given", "phase"),
    [
        ("random", RANDOM), ("expired", EXPIRED), (0.25, Phase(0.25, 0.25)), (1, Phase(1, 1)),
        ("0.25", Phase(0.25, 0.25)), ("0.1-0.9", Phase(0.1, 0.9)), ("0-1", Phase(0, 1)),
    ],
)  # fmt: skip
def test_phases_are_read_and_named_alike(given: object, phase: Phase) -> None:
    assert Phase.parse(given) == phase == Phase.parse(str(phase))


@pytest.mark.parametrize("given", [-0.1, 1.1, "nan", "0.9-0.1", "late", True, "", None, "0.5-"])
def test_what_is_no_phase(given: object) -> None:
    with pytest.raises(ValueError, match="a phase is a number"):
        Phase.parse(given)


def test_draws_are_where_they_were_asked_for() -> None:
    rng = random.Random(1)
    for phase in (RANDOM, EXPIRED, Phase(0.1, 0.9), Phase(0.25, 0.25), Phase(0.0, 0.0)):
        low, high = phase.within
        assert all(low <= phase.draw(rng) <= high for _ in range(100))
        assert 0 <= low < high <= 1
    assert RANDOM.within == (pytest.approx(0.35), pytest.approx(0.65))


def test_a_cell_is_the_machine_that_it_names() -> None:
    cell = build_plan(
        {
            "axes": {
                "machine": "q35", "cpu": "Nehalem", "irqchip": "split", "memory_mib": 64,
                "mode": "tsc-deadline", "apic": "x2apic",
            }
        },
        "test",
    ).cells(Accel.KVM)[0]  # fmt: skip
    args = qemu_args(cell.instance_config())
    assert args[args.index("-machine") + 1] == "q35,accel=kvm,kernel-irqchip=split"
    assert args[args.index("-cpu") + 1] == "Nehalem,+tsc-deadline,+x2apic"
    assert args[args.index("-m") + 1] == "64"
    assert args[args.index("-smp") + 1] == "1"


def test_whose_the_lapic_is() -> None:
    assert not PLAIN.instance_config().lapic_is_qemus
    assert build_plan({"axes": {"irqchip": "off"}}, "test").cells(Accel.KVM)[0].irqchip is (
        IrqChip.OFF
    )
    assert build_plan({}, "test").cells(Accel.TCG)[0].instance_config().lapic_is_qemus
