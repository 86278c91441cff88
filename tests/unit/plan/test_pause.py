import pytest

from orchestrator.plan.faults import PlanError
from orchestrator.plan.load import build_plan
from orchestrator.plan.pause import NO_PAUSE, Pause
from orchestrator.trial.resume import load_manner
from orchestrator.vm.config import Accel
from tests.support.plans import ids


@pytest.mark.parametrize(
    ("text", "ns", "shown"),
    [
        ("3 periods", 60_000_000, "3periods"),
        ("1 period", 20_000_000, "1periods"),
        ("2.5periods", 50_000_000, "2.5periods"),
        ("10 s", 10_000_000_000, "10s"),
        ("500 ms", 500_000_000, "0.5s"),
        (0, 0, "0"),
        ("0 s", 0, "0"),
    ],
)
def test_a_pause_and_its_length(text: object, ns: int, shown: str) -> None:
    pause = Pause.parse(text)
    assert pause.ns(period_ns=20_000_000) == ns
    assert str(pause) == shown
    assert Pause.parse(shown) == pause
    assert bool(pause) is (ns > 0)


@pytest.mark.parametrize("value", ["3", 3, "-1 s", "1 minute", "3601 s", "100001 periods", True])
def test_no_pause(value: object) -> None:
    with pytest.raises(PlanError, match="a pause "):
        build_plan({"axes": {"pause_before_load": value}}, "test")


def test_pauses_of_a_cell() -> None:
    data = {"axes": {"pause_before_load": [0, "3 periods"], "pause_before_cont": "10 s"}}
    without, with_both = build_plan(data, "test").cells(Accel.KVM)
    assert without.pause_before_load == NO_PAUSE
    manner = load_manner(with_both, 20_000_000)
    assert manner.pause_before_load_ns == 60_000_000
    assert manner.pause_before_cont_ns == 10_000_000_000
    assert [cell.partition("25loads")[2] for cell in ids(data)] == [
        "/pause_before_cont=10s",
        "/pause_before_cont=10s/pause_before_load=3periods",
    ]
