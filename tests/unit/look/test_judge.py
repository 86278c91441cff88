"""The judgement of a look: made-up readings in, a condition out."""

from dataclasses import replace

import pytest

from orchestrator.bugs.exposure import Exposure, ExposureState
from orchestrator.guest.lapic import Lapic, Registers
from orchestrator.look.look import Condition
from orchestrator.look.readings import Counters, Glance, Setting, VcpuReadings, Window
from orchestrator.look.whole import GIVEN_UP, judge

EXPOSED = Exposure(ExposureState.EXPOSED, "kvm_intel runs with enable_apicv=Y")
SPARED = Exposure(ExposureState.NOT_EXPOSED, "AMD")
SETTING = Setting(EXPOSED)
S = 1_000_000_000

#: A one-shot timer of 4 ms, as Linux arms it with a divide of 16.
ARMED = Lapic(lvtt=0xEC, tmict=250_000, irr=frozenset(), isr=frozenset(), divide=16)
RUNS = Registers(ip=0x1000, flags=0x202, halted=False)
HALTED = replace(RUNS, halted=True)

SILENT = Counters(
    exits=300, irq_exits=300, signal_exits=2, irq_injections=0, halt_wakeups=0, yields=0
)
TICKING = replace(SILENT, exits=2700)
WOKEN = replace(SILENT, halt_wakeups=15)

BUSY = Window(3 * S, SILENT, cpu_ns=3 * S, switches=0)
ASLEEP = Window(3 * S, SILENT, cpu_ns=70_000, switches=2, slept=True)

BUG, OTHERWISE, ALIVE, UNKNOWN = (
    Condition.FROZEN_BY_BUG, Condition.FROZEN_OTHERWISE, Condition.ALIVE, Condition.UNKNOWN,
)  # fmt: skip


def read(
    window: Window,
    lapic: Lapic | None = ARMED,
    registers: Registers | None = RUNS,
    *,
    vcpu: int = 0,
    later: Lapic | None = None,
    seconds: float = 6,
) -> VcpuReadings:
    """A vCPU that spent both windows alike."""
    glances = (Glance(3 * S, lapic, registers), Glance(int(seconds * S), later or lapic, registers))
    return VcpuReadings(vcpu, (window, window), glances)


def told(*vcpus: VcpuReadings, setting: Setting = SETTING) -> Condition:
    found = judge(vcpus, setting)
    print(found)
    assert len(found.vcpus) == len(vcpus)
    return found.condition


def test_a_busy_vcpu_that_lost_its_timer() -> None:
    found = judge([read(BUSY)], SETTING)
    assert found.condition is BUG
    assert "TMICT 250000" in found.why
    assert any("enable_apicv=0" in sentence for sentence in found.revive)


def test_a_halted_vcpu_that_lost_its_timer() -> None:
    assert told(read(ASLEEP, registers=HALTED)) is BUG


@pytest.mark.parametrize("window", [replace(BUSY, counters=TICKING), replace(BUSY, counters=WOKEN)])
def test_signs_of_life(window: Window) -> None:
    assert told(read(window)) is ALIVE


def test_a_timer_that_was_armed_anew_is_life() -> None:
    assert told(read(BUSY, later=replace(ARMED, tmict=249_998))) is ALIVE


def test_injected_interrupts_are_life_only_at_the_pace_of_the_timer() -> None:
    often = replace(SILENT, irq_injections=740)
    assert told(read(replace(BUSY, counters=often))) is ALIVE
    some = replace(SILENT, irq_injections=100)  # of another device: too many for a frozen vCPU
    assert told(read(replace(BUSY, counters=some))) is UNKNOWN
    few = replace(SILENT, irq_injections=3)  # a tty that echoes
    assert told(read(replace(BUSY, counters=few))) is BUG


def test_a_guest_that_spins_for_a_lock_is_not_alive_for_that() -> None:
    spinning = replace(TICKING, yields=800)
    assert told(read(replace(BUSY, counters=spinning))) is UNKNOWN


def test_a_guest_that_is_stuck_leaves_now_and_then() -> None:
    off = replace(RUNS, flags=2)
    assert told(read(replace(BUSY, counters=TICKING), registers=off)) is UNKNOWN
    unarmed = replace(ARMED, tmict=0)
    few = replace(SILENT, exits=SILENT.exits + 4)
    assert told(read(replace(BUSY, counters=few), unarmed)) is UNKNOWN
    assert told(read(replace(BUSY, counters=few), unarmed, off)) is not ALIVE
    assert told(read(replace(BUSY, counters=TICKING), unarmed)) is ALIVE


def test_exits_of_a_paravirtual_back_end_show_nothing() -> None:
    setting = replace(SETTING, paravirtual=True)
    assert told(read(replace(BUSY, counters=TICKING)), setting=setting) is BUG


@pytest.mark.parametrize(
    "idle",
    [
        replace(ARMED, lvtt=0x100EC),  # as Linux leaves a timer that it needs no more
        replace(ARMED, tmict=0),
        replace(ARMED, lvtt=0x400EC, tmict=0),  # TSC-deadline: nobody sees the deadline
    ],
)
@pytest.mark.parametrize(("window", "registers"), [(ASLEEP, HALTED), (BUSY, RUNS)])
def test_a_vcpu_without_a_timer_is_not_frozen(
    idle: Lapic, window: Window, registers: Registers
) -> None:
    assert told(read(window, idle, registers)) is UNKNOWN


def test_a_vcpu_that_idles_beside_others_that_live() -> None:
    living = read(replace(BUSY, counters=TICKING), vcpu=1)
    assert told(read(ASLEEP, replace(ARMED, tmict=0), HALTED), living) is ALIVE
    assert told(read(ASLEEP, registers=HALTED), living) is ALIVE, "an old guest without a timer"
    assert judge([read(ASLEEP, registers=HALTED), living], SETTING).vcpus[0].condition is UNKNOWN
    assert told(read(BUSY), living) is BUG, "a busy one has no reason to be silent"


def test_a_timer_that_is_not_due_yet() -> None:
    long = replace(ARMED, tmict=4_000_000_000 // 16 * 2)  # 8 s
    assert told(read(ASLEEP, long, HALTED)) is UNKNOWN
    assert told(read(ASLEEP, long, HALTED, seconds=9)) is BUG


def test_a_halted_guest_may_have_nothing_to_do_for_some_seconds() -> None:
    assert told(read(ASLEEP, registers=HALTED, seconds=4.5)) is UNKNOWN


@pytest.mark.parametrize(
    ("lapic", "registers"),
    [
        (ARMED, replace(RUNS, flags=2)),
        (replace(ARMED, irr=frozenset({0xEC})), RUNS),
        (replace(ARMED, irr=frozenset({0xEC}), tpr=0xFF), RUNS),
        (replace(ARMED, isr=frozenset({0xF0})), RUNS),
        (replace(ARMED, lvtt=0x200EC), HALTED),
    ],
)
def test_other_freezes(lapic: Lapic, registers: Registers) -> None:
    assert told(read(BUSY, lapic, registers)) is OTHERWISE


def test_a_periodic_timer_of_a_busy_guest_with_apicv_leaves_no_sign() -> None:
    periodic = replace(ARMED, lvtt=0x200EC)
    assert told(read(BUSY, periodic)) is UNKNOWN
    assert told(read(BUSY, periodic), setting=Setting(SPARED)) is OTHERWISE


def test_a_host_that_cannot_have_the_bug() -> None:
    found = judge([read(BUSY)], Setting(SPARED))
    assert found.condition is OTHERWISE
    assert "AMD" in found.why
    assert told(read(BUSY), setting=replace(SETTING, lapic_is_qemus=True)) is OTHERWISE


def test_a_host_of_which_nobody_knows() -> None:
    unknown = Setting(Exposure(ExposureState.UNKNOWN, "no parameter can be read"))
    found = judge([read(BUSY)], unknown)
    assert found.condition is BUG
    assert any("no parameter" in sentence for sentence in found.caveats)


def test_without_counters_a_lapic_cannot_tell() -> None:
    bare = replace(BUSY, counters=None)
    assert told(read(bare)) is UNKNOWN
    assert told(read(bare), setting=replace(SETTING, seen_frozen=True)) is BUG
    still = replace(ASLEEP, counters=None, switches=0)
    assert told(read(still, registers=HALTED)) is BUG
    moving = replace(still, switches=400)
    assert told(read(moving, registers=HALTED)) is ALIVE


def test_a_freeze_that_was_seen_otherwise_needs_one_glance() -> None:
    setting = replace(SETTING, seen_frozen=True)
    once = VcpuReadings(0, (), (Glance(S, ARMED, HALTED),))
    assert told(once, setting=setting) is BUG
    assert told(replace(once, glances=(Glance(S, replace(ARMED, tmict=0), HALTED),)),
                setting=setting) is OTHERWISE  # fmt: skip
    assert told(replace(once, glances=()), setting=setting) is UNKNOWN


def test_a_thread_that_the_host_does_not_let_run() -> None:
    assert told(read(replace(BUSY, cpu_ns=0, starved=True))) is UNKNOWN


def test_what_qemu_does_not_show() -> None:
    assert told(read(BUSY, None)) is UNKNOWN
    assert told(read(BUSY, registers=None)) is UNKNOWN
    assert told(VcpuReadings(0)) is UNKNOWN
    assert told() is UNKNOWN


def test_vcpus_that_were_never_started() -> None:
    parked = read(ASLEEP, registers=Registers(0xFFF0, 2, True), vcpu=1)
    assert told(read(replace(BUSY, counters=TICKING)), parked) is ALIVE
    assert told(replace(parked, vcpu=0), parked) is OTHERWISE


@pytest.mark.parametrize("state", ["paused", "prelaunch", "inmigrate", "save-vm"])
def test_a_paused_guest_is_paused(state: str) -> None:
    found = judge([read(BUSY)], replace(SETTING, run_state=state))
    assert found.condition is Condition.PAUSED
    assert state in found.why
    assert any("cont" in sentence for sentence in found.revive)


@pytest.mark.parametrize("state", GIVEN_UP)
def test_a_guest_that_qemu_gave_up(state: str) -> None:
    assert told(read(BUSY), setting=replace(SETTING, run_state=state)) is OTHERWISE
