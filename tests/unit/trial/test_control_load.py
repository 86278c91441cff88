"""What shows that the load of a control restored no timer."""

import pytest

from orchestrator.findings.save import Save, VcpuSave
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.state import GuestState, Stage
from orchestrator.trial.control_load import not_restored
from orchestrator.vm.config import Accel, InstanceConfig
from tests.support.guest_states import ticking


def config(mode: str, accel: Accel = Accel.KVM) -> InstanceConfig:
    return InstanceConfig(accel, GuestConfig(mode=mode, control_tick=6))


def control(*, swallowed: int = 0, tmict: int = 20_000_000) -> Save:
    part = VcpuSave(
        0, 0.2, 200, 1000.0, 9, 10, 0x41, tmict, (), (), True, False, Stage.CONTROL_WINDOW,
        swallowed=swallowed,
    )  # fmt: skip
    return Save("control", 0.0, (part,), control=True)


def after(swallowed: int, stage: Stage = Stage.CONTROL_SILENT, ticks: int = 9) -> GuestState:
    return ticking(stage=stage, swallowed=swallowed, ticks=ticks)


@pytest.mark.parametrize("mode", ["one-shot", "periodic", "tsc-deadline", "hv-stimer", "pit"])
def test_the_restored_timer_brings_its_interrupt_again(mode: str) -> None:
    assert not not_restored(config(mode), control(), 1, after(1))
    assert "did not restore the timer" in not_restored(config(mode), control(), 1, after(0))


@pytest.mark.parametrize(("mode", "accel"), [("one-shot", Accel.KVM), ("periodic", Accel.TCG)])
def test_some_timers_bring_another_one_after_a_save_in_which_it_had_come(
    mode: str, accel: Accel
) -> None:
    assert not not_restored(config(mode, accel), control(swallowed=1), 1, after(2))
    assert not_restored(config(mode, accel), control(swallowed=1), 1, after(1))


@pytest.mark.parametrize(
    ("mode", "accel"), [("one-shot", Accel.TCG), ("tsc-deadline", Accel.KVM)]
)  # fmt: skip
def test_a_timer_that_was_over_at_the_save_brings_none(mode: str, accel: Accel) -> None:
    tmict = 20_000_000 if mode == "one-shot" else 0
    assert not not_restored(config(mode, accel), control(swallowed=1, tmict=tmict), 1, after(1))


def test_ticks_on_the_ticks_own_vector_in_the_window_are_not_the_restored_timers() -> None:
    window = Stage.CONTROL_WINDOW
    assert not_restored(config("periodic"), control(), 1, after(0, window, ticks=11))


def test_nothing_follows_while_the_interrupt_may_yet_come_or_from_unknown_counters() -> None:
    assert not not_restored(config("one-shot"), control(), 1, after(0, Stage.CONTROL_WINDOW))
    assert not not_restored(config("one-shot"), control(), 1, None)


def test_a_guest_whose_window_swallowed_nothing_has_another_kind_of_control() -> None:
    assert not not_restored(config("one-shot"), control(), 0, after(0))
