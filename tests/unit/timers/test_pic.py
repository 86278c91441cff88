from dataclasses import replace

import pytest

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.guest import lines
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.lapic import parse_lapic
from orchestrator.guest.state import GuestState, Stage
from orchestrator.timers.first_tick import ResumeTiming
from orchestrator.timers.registry import TIMERS
from orchestrator.timers.timer import Hearing
from orchestrator.vm.config import Accel, InstanceConfig, IrqChip
from tests.support.places import GOLDEN

#: The guest's own PIC has nothing masked, pending or in service, and interrupts are on.
QUIET = lines.Testimony(
    number=1, lvtt=0xFE, tmict=0x2A, tmcct=0x42, irr=0, isr=0, ppr=0, tpr=0, deadline=0,
    progress=10_000, ticks=7, arms=8, flags=0x246, cs=0xF000, ip=0x34,
)  # fmt: skip


def cause(mode: str, *, count: int = 0x42, rescued: bool = True, **changes: int) -> Cause:
    """Return what a timer makes of two testimonies."""
    first = replace(QUIET, **changes)  # type: ignore[arg-type]  # the fields are numbers
    last = replace(first, number=2, tmcct=count)
    found, sentence = TIMERS[mode].explain_silence(
        Hearing("no tick", [first, last], 0x40, 0, 0x10000, 1000.0, rescued)
    )
    print(sentence)
    return found


@pytest.mark.parametrize("mode", ["pit", "rtc"])
@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"lvtt": 0xFF}, Cause.NOT_DELIVERABLE),
        ({"flags": 0x46}, Cause.NOT_DELIVERABLE),
        ({"isr": 1}, Cause.NOT_DELIVERABLE),
        ({"irr": 1}, Cause.PENDING),
    ],
)
def test_what_the_pic_says(mode: str, changes: dict[str, int], found: Cause) -> None:
    assert cause(mode, **changes) is found


def test_a_pit_that_counts_and_one_that_does_not() -> None:
    assert cause("pit", count=0x41) is Cause.LOST_PIC_INTERRUPT
    assert cause("pit") is Cause.NOT_STARTED


def test_an_rtc_that_waits_for_its_register_c_to_be_read() -> None:
    assert cause("rtc") is Cause.LOST_PIC_INTERRUPT
    assert cause("rtc", rescued=False) is Cause.UNEXPLAINED
    assert cause("rtc", tmcct=0x02, count=0x02) is Cause.NOT_RESTORED


@pytest.mark.parametrize(
    ("lint0", "masked"), [("0x00000700", False), ("0x00010700", True), ("0x00010000", True)]
)
def test_the_lapic_must_hand_on_the_interrupts_of_the_pic(lint0: str, masked: bool) -> None:
    text = (GOLDEN / "info-lapic-7.2-kvm.txt").read_text()
    lapic = parse_lapic(text.replace("LVT0\t 0x00010000", f"LVT0\t {lint0}"))
    assert TIMERS["pit"].masked(lapic, 0x40) is masked


def test_a_guest_that_took_its_ticks_waits_for_the_next() -> None:
    state = GuestState(False, 7, 8, 500, 7, Stage.TICKING, 0)
    lapic = parse_lapic((GOLDEN / "info-lapic-7.2-kvm.txt").read_text())
    assert TIMERS["rtc"].armed(state, lapic)
    assert not TIMERS["rtc"].armed(replace(state, arms=7), lapic)


def test_the_rtc_keeps_what_remains_of_a_period_even_under_kvm() -> None:
    slow = ResumeTiming(since_load=0.5, loading=0.4, answering=0.1)
    assert TIMERS["rtc"].due(0.4, slow)[Outcome.REMAINING] == (0.6, 0.6)
    assert Outcome.REMAINING not in TIMERS["pit"].due(0.4, slow)


@pytest.mark.parametrize(
    ("mode", "accel", "irqchip", "qemus"),
    [
        ("one-shot", Accel.KVM, IrqChip.ON, False),
        ("one-shot", Accel.KVM, IrqChip.SPLIT, False),
        ("one-shot", Accel.TCG, IrqChip.ON, True),
        ("pit", Accel.KVM, IrqChip.ON, False),
        ("pit", Accel.KVM, IrqChip.SPLIT, True),
        ("rtc", Accel.KVM, IrqChip.ON, True),
    ],
)
def test_who_runs_the_timer(mode: str, accel: Accel, irqchip: IrqChip, qemus: bool) -> None:
    config = InstanceConfig(accel, GuestConfig(mode=mode), irqchip=irqchip)
    assert config.timer_is_qemus is qemus
    assert config.timer_stands_in_stop is qemus


def test_the_hyper_v_timer_stands_in_a_stop_although_it_is_kvms() -> None:
    config = InstanceConfig(Accel.KVM, GuestConfig(mode="hv-stimer"))
    assert not config.timer_is_qemus
    assert config.timer_stands_in_stop


def test_swallowed_ticks_show_as_missing_periods() -> None:
    for mode in ("pit", "rtc"):
        assert TIMERS[mode].control_lost(Outcome.MISSED, None)
        assert TIMERS[mode].control_lost(Outcome.RECOVERED, None)
        assert not TIMERS[mode].control_lost(Outcome.LOST, Cause.LOST_PIC_INTERRUPT)
