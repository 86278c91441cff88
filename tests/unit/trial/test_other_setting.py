"""A LAPIC's timer that a load has changed, by two saves of one guest."""

from dataclasses import replace

import pytest

from orchestrator.findings.outcome import Outcome, TrialResult
from orchestrator.findings.save import Save, VcpuSave
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.registry import GUESTS
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.state import Stage
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.trial.other_setting import compare
from orchestrator.vm.config import Accel, InstanceConfig

CONFIG = InstanceConfig(Accel.KVM, GuestConfig())
PART = VcpuSave(
    0, 0.5, 500, 1000.0, 9, 10, 0x40, 100_000_000, (), (), True, False, Stage.TICKING, divide=1
)  # fmt: skip


def saved(**changes: int) -> Save:
    return Save("save1", 0.5, (PART, replace(PART, vcpu=1, **changes)))  # type: ignore[arg-type]


def compared(config: InstanceConfig = CONFIG, **changes: int) -> TrialResult | None:
    return compare(saved(), {part.vcpu: part for part in saved(**changes).vcpus}, config)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lvtt": 0x20040}, "its mode is periodic (LVTT 0x20040), and was one-shot"),
        ({"lvtt": 0x40040}, "its mode is tsc-deadline"),
        ({"lvtt": 0x60040}, "its mode is the reserved one"),
        ({"divide": 2}, "its clock is divided by 2, and was by 1"),
    ],
)
def test_a_changed_timer_is_a_wrong_rate(changes: dict[str, int], said: str) -> None:
    odd = compared(**changes)
    assert odd is not None
    assert (odd.outcome, odd.telling) == (Outcome.RATE, 1)
    assert said in odd.why


def test_a_periodic_timer_with_another_initial_count_is_a_wrong_rate() -> None:
    periodic = replace(CONFIG, guest=GuestConfig(TimerMode.PERIODIC))
    odd = compared(periodic, tmict=115_000_000)
    assert odd is not None and odd.outcome is Outcome.RATE
    assert "its initial count is 115000000, and was 100000000 in the save" in odd.why
    assert compared(periodic, tmict=0) is None, "it is not known"


@pytest.mark.parametrize("changes", [{}, {"lvtt": 0x10040}, {"divide": 0}, {"tmict": 5}])
def test_a_timer_that_the_guest_masks_or_arms_is_not_changed(changes: dict[str, int]) -> None:
    assert compared(**changes) is None


def test_a_kernel_may_change_its_timer() -> None:
    linux = replace(CONFIG, program=GUESTS["linux"])
    assert compared(linux, lvtt=0x40040) is None


@pytest.mark.parametrize("state", SavedState)
def test_a_task_priority_that_only_one_state_changes(state: SavedState) -> None:
    config = replace(CONFIG, guest=GuestConfig(state=state))
    odd = compared(config, tpr=0x30)
    if state is SavedState.TPR:
        assert odd is None
        return
    assert odd is not None and odd.outcome is Outcome.EXTRA
    assert "the task priority is 0x30, and was 0x0 in the save" in odd.why
