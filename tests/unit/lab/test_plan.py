"""The plan of a lab run, and the periods of its cells."""

import pytest

from orchestrator.lab.kernel.variants import Variant
from orchestrator.lab.plan import lab_plan
from orchestrator.plan.faults import PlanError
from orchestrator.vm.config import Accel


def periods_ms(**settings: object) -> dict[str, float]:
    cells = lab_plan(20, **settings).cells(Accel.KVM)  # type: ignore[arg-type]  # by name
    return {cell.mode: cell.period_ns / 1e6 for cell in cells if cell.period_ns}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 60),
        ({"vcpus": 3}, 180),
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


@pytest.mark.parametrize(
    "settings",
    [
        {"compares_kernels": True},
        {"compares_kernels": True, "variants": [Variant.REVERT_FIX]},
        {"period_ms": "auto", "variants": [Variant.LATE_TICK]},
    ],
)
def test_the_lab_is_measured_where_kernels_are_compared(settings: dict[str, object]) -> None:
    (cell,) = lab_plan(20, **settings).cells(Accel.KVM)  # type: ignore[arg-type]  # by name
    assert cell.period_ns is None


@pytest.mark.parametrize(
    "settings", [{"compares_kernels": True}, {"period_ms": "auto"}], ids=["compared", "asked for"]
)
def test_timers_that_cannot_have_every_period_are_not_measured(settings: dict[str, object]) -> None:
    """An RTC of 62.5 ms hangs a whole lab."""
    modes = ("one-shot", "pit", "rtc", "hv-stimer")
    cells = lab_plan(20, modes=modes, **settings).cells(Accel.KVM)  # type: ignore[arg-type]  # by name
    found = {cell.mode: cell.period_ns and cell.period_ns / 1e6 for cell in cells}
    assert found == {"one-shot": None, "pit": 54, "rtc": 125, "hv-stimer": None}


def test_auto_chooses_in_a_lab_from_what_all_vcpus_can_print() -> None:
    (one,) = lab_plan(20, compares_kernels=True).cells(Accel.KVM)
    assert [each / 1e6 for each in one.slow_periods_ns] == [60, 100, 200, 400]
    (many,) = lab_plan(20, vcpus=8, compares_kernels=True).cells(Accel.KVM)
    assert many.slow_periods_ns[:2] == (480_000_000, 800_000_000)


def test_each_timer_has_a_period_that_it_can_have() -> None:
    modes = ("one-shot", "pit", "tsc-deadline", "rtc")
    found = periods_ms(modes=modes, vcpus=3)
    assert found == {"one-shot": 180, "tsc-deadline": 180, "pit": 54, "rtc": 125}
    assert periods_ms(modes=modes, period_ms=50) == dict.fromkeys(modes, 50)


def test_an_unknown_timer_is_refused() -> None:
    with pytest.raises(PlanError, match="there is no timer 'sundial'"):
        lab_plan(20, modes=("sundial",))
