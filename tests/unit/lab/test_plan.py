"""The plan of a lab run, and the periods of its cells."""

import pytest

from orchestrator.lab.kernel.variants import Variant
from orchestrator.lab.plan import lab_plan
from orchestrator.plan.load import PlanError
from orchestrator.vm.config import Accel


def periods_ms(**settings: object) -> dict[str, float]:
    cells = lab_plan(20, **settings).cells(Accel.KVM)  # type: ignore[arg-type]  # by name
    return {cell.mode: cell.period_ns / 1e6 for cell in cells if cell.period_ns}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 60),
        ({"vcpus": 3}, 180),
        ({"compares_kernels": True}, 200),
        ({"variants": [Variant.UNTOUCHED, Variant.REVERT_FIX]}, 60),
        ({"variants": [Variant.LATE_TICK]}, 400),
        ({"variants": [Variant.EARLY_TICK, Variant.LATE_TICK], "compares_kernels": True}, 1000),
        ({"variants": [Variant.EARLY_TICK], "period_ms": 50}, 50),
    ],
)
def test_the_period_is_long_enough_to_show_what_the_arms_show(
    settings: dict[str, object], expected: float
) -> None:
    assert periods_ms(**settings) == {"one-shot": expected}


def test_each_timer_has_a_period_that_it_can_have() -> None:
    modes = ("one-shot", "pit", "tsc-deadline", "rtc")
    found = periods_ms(modes=modes, compares_kernels=True)
    assert found == {"one-shot": 200, "tsc-deadline": 200, "pit": 54, "rtc": 125}
    assert periods_ms(modes=modes, period_ms=50) == dict.fromkeys(modes, 50)


def test_an_unknown_timer_is_refused() -> None:
    with pytest.raises(PlanError, match="there is no timer 'sundial'"):
        lab_plan(20, modes=("sundial",))
