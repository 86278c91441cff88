from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.guest.apic import Apic
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.plan.cell import Cell
from orchestrator.plan.faults import PlanError
from orchestrator.plan.load import build_plan
from orchestrator.plan.plan import SameIdError
from orchestrator.snapshot.method import Method
from orchestrator.vm.argv import qemu_args
from orchestrator.vm.config import Accel, IrqChip
from tests.support.plans import ids


def test_axes_span_cells_with_stable_ids() -> None:
    data = {"axes": {"accel": ["auto", "kvm", "tcg"], "mode": ["periodic", "one-shot"]}}
    ids = [cell.id for cell in build_plan(data, "test").cells(Accel.KVM)]
    assert len(ids) == len(set(ids)) == 4
    data["axes"]["mode"].reverse()
    assert set(ids) == {cell.id for cell in build_plan(data, "test").cells(Accel.KVM)}


PLAIN = Cell(Accel.KVM, TimerMode.ONE_SHOT, Apic.XAPIC, Method.HMP, 20_000_000, 25)


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
    """The order of the axes and of their values changes no id, and no two cells share one."""
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


@pytest.mark.parametrize(
    ("axis", "values"),
    [
        ("period_ms", [1000.0001, 1000.0002]),
        ("phase", [0.5, 0.5000000001, 0.49999999999999994]),
        ("phase", ["0.1-0.9", "0.1-0.90000000001", "0.10000001-0.9"]),
        ("phase", [0.1, 1e-5, 1e-300]),
        ("pause_before_load", ["1 s", "1.00000000001 s", "1 periods", "1.00000000001 periods"]),
        ("pause_before_load", ["0.01 ms", "0.010000000001 ms"]),
    ],
)
def test_ids_tell_near_values_apart(axis: str, values: list[object]) -> None:
    assert len(set(ids({"axes": {axis: values}}))) == len(values)


@given(st.sampled_from(["phase", "pause_before_load"]), st.floats(0, 1), st.floats(0, 1))
def test_a_number_survives_the_journal(axis: str, low: float, high: float) -> None:
    """A cell that is read from the journal is the cell that ran."""
    low, high = sorted((low, high))
    text = {"phase": f"{low:.20f}-{high:.20f}", "pause_before_load": f"{high:.20f} s"}[axis]
    try:
        (cell,) = build_plan({"axes": {axis: text}}, "test").cells(Accel.KVM)
    except PlanError:  # no range
        return
    value = getattr(cell, axis)
    assert type(value).parse(str(value)) == value


@pytest.mark.parametrize("axis", ["phase", "pause_before_load"])
def test_one_value_has_one_id_however_it_is_written(axis: str) -> None:
    values = {"phase": [0.5, "0.50", 5e-1], "pause_before_load": ["1000 ms", "1 s", "1.0 s"]}[axis]
    assert len(ids({"axes": {axis: values}})) == 1
    assert len(ids({"axes": {"phase": [0.0, -0.0, "0"]}})) == 1


def test_cells_that_would_share_an_id_are_refused_with_both_settings() -> None:
    data: dict[str, object] = {
        "axes": {"qemu": "/q", "vmstate": "second"}, "include": [{"qemu": "/q/vmstate=second"}]
    }  # fmt: skip
    with pytest.raises(SameIdError) as caught:
        ids(data)
    assert "one with qemu /q, vmstate second, the other with qemu /q/vmstate=second, vmstate" in (
        str(caught.value)
    )


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


@pytest.mark.parametrize(
    ("mode", "periods_ms"),
    [
        ("one-shot", (5, 10, 20, 50, 100)),
        ("pit", (5, 10, 20, 50, 54)),
        ("rtc", (3.90625, 7.8125, 15.625, 31.25, 62.5)),
    ],
)
def test_auto_chooses_from_the_periods_that_a_timer_can_have(
    mode: str, periods_ms: tuple[float, ...]
) -> None:
    cell = replace(PLAIN, mode=mode, period_ns=None)
    assert cell.auto_periods_ns == tuple(round(each * 1e6) for each in periods_ms)
    assert cell.instance_config().guest.period_ns == cell.auto_periods_ns[0]
