"""How the ticks after a load are judged."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.findings.arrival import Arrival
from orchestrator.findings.outcome import Outcome
from orchestrator.findings.save import VcpuSave
from orchestrator.guest.config import DEFAULT_GUEST, GuestConfig
from orchestrator.guest.lines import UNTOLD, Tick
from orchestrator.guest.protocol import Guest
from orchestrator.guest.registry import GUESTS
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.state import Stage
from orchestrator.guest.wait import Wait
from orchestrator.timers.first_tick import ResumeTiming
from orchestrator.trial.judge import Judge
from orchestrator.trial.limits import Limits
from orchestrator.trial.pace import Pace
from orchestrator.trial.resume import Resumed
from orchestrator.vm.config import Accel, InstanceConfig

MS = 1_000_000
PERIOD_NS = 20 * MS
TSC_PER_NS = 2
TSC = 10**12
SPINS = 1000


def tick(number: int, at_ms: float) -> Tick:
    return Tick(number, SPINS, TSC + int(at_ms * MS * TSC_PER_NS), 0, number + 1)


async def never_waited() -> int:
    return 0


async def no_lapic(command: str, **more: Any) -> str:
    return f"{command}: this QEMU can't say"


def judge(
    mode: str,
    timing: ResumeTiming,
    cont_ms: float,
    wait: Wait = Wait.BUSY,
    state: SavedState = SavedState.ARMED,
    accel: Accel = Accel.KVM,
    program: Guest = GUESTS[DEFAULT_GUEST],
    **saved: Any,
) -> Judge:
    """Return a judge of the ticks after a save at tick 7, whose load began at 0 ms."""
    guest = GuestConfig(mode=mode, period_ns=PERIOD_NS, wait=wait, state=state)
    config = InstanceConfig(accel, guest, program)
    pace = Pace()
    pace.known_cycles = PERIOD_NS * TSC_PER_NS
    for number in range(4):
        pace.observe(tick(number, 20 * number), tick(number + 1, 20 * (number + 1)))
    save = VcpuSave(
        vcpu=0, phase=0.5, progress=SPINS, progress_per_period=1000.0, ticks=7, arms=8, lvtt=0,
        tmict=0, irr=(), isr=(), interrupt_flag=True, printing=False, stage=Stage.TICKING,
        tsc=TSC + int(cont_ms * MS * TSC_PER_NS), hold=0.0 if state is SavedState.ARMED else 0.75,
    )  # fmt: skip
    save = replace(save, **saved)
    resumed = Resumed(int(cont_ms * MS), timing, 0, load_ns=0)
    monitor = SimpleNamespace(hmp=no_lapic)
    instance = SimpleNamespace(config=config, monitor=monitor, waited_ns=never_waited)
    return Judge(instance, save, pace, Limits(PERIOD_NS), resumed)  # type: ignore[arg-type]  # nothing is asked of it


@pytest.mark.parametrize(
    ("mode", "at_ms", "outcome"),
    [
        ("pit", (60.1, 61.1, 62.1, 80), Outcome.INDISTINCT),
        ("pit", (60.1, 61.1, 62.1, 63.1), Outcome.EXTRA),
        ("periodic", (60.1, 61.1, 62.1, 80), Outcome.EXTRA),
        ("periodic", (60.1, 66, 86, 106), Outcome.FULL_PERIOD),
        ("periodic", (60.1, 66, 72, 92), Outcome.EXTRA),
    ],
)
async def test_three_ticks_that_fell_into_a_pause_before_cont(
    mode: str, at_ms: tuple[float, ...], outcome: Outcome
) -> None:
    """KVM's PIT delivers them all; its LAPIC delivers one for all."""
    found = judge(mode, ResumeTiming(since_load=3.0), 60.0)
    for number, at in enumerate(at_ms, start=8):
        found.hear(Arrival(tick(number, at), int(at * MS)))
    assert (await found.decide()).outcome is outcome


@pytest.mark.parametrize(("waited_ms", "ticked"), [(25, True), (2, False)])
async def test_a_tick_that_became_due_while_the_vcpu_waited_for_a_cpu(
    waited_ms: float, ticked: bool
) -> None:
    """The timer ran meanwhile, so the tick is there as the guest runs on."""
    timing = ResumeTiming(since_load=0.05, answering=0.02, loading=0.1)
    found = judge("periodic", timing, 2.5)
    for number, at in ((8, 2.5 + waited_ms), (9, 42.5), (10, 62.5)):
        found.hear(Arrival(tick(number, at), int(at * MS)))
    decided = await found.decide()
    assert decided.outcome.ticked is ticked, decided.why
    assert ticked or decided.outcome is Outcome.EARLY


@pytest.mark.parametrize(("gap_ms", "outcome"), [(3, None), (1, Outcome.EXTRA)])
async def test_a_first_tick_may_have_been_late_by_a_delivery_besides_the_stolen_time(
    gap_ms: float, outcome: Outcome | None
) -> None:
    """KVM delivers an interrupt up to 2 ms late, though the vCPU runs."""
    found = judge("periodic", ResumeTiming(since_load=0.5), 10.0)
    away, since = 16 * MS * TSC_PER_NS, 2 * MS * TSC_PER_NS
    turns = {"stolen": away, "longest": away, "since_longest": since, "since_last": since}
    first = replace(tick(8, 32), progress=SPINS + 300, **turns)
    for each, at in ((first, 32), (tick(9, 32 + gap_ms), 32 + gap_ms)):
        found.hear(Arrival(each, int(at * MS)))
    decided = (await found.decide()).outcome
    assert decided is outcome if outcome else decided.ticked


@pytest.mark.parametrize("mode", ["periodic", "one-shot"])
@pytest.mark.parametrize(("printing", "ticked"), [(UNTOLD, True), (3 << 30, False)])
async def test_a_guest_that_stands_while_it_prints(mode: str, printing: int, ticked: bool) -> None:
    """It stood for 3 s, which is more TSC cycles than its line can say; or for half of that."""
    found = judge(mode, ResumeTiming(since_load=0.05, until_tick=1.2), 1.0)
    stood = replace(tick(9, 3021), print_cycles=printing, progress=1)
    first = replace(tick(8, 21), progress=2 * SPINS)
    for each, at in ((first, 21), (stood, 3021), (tick(10, 3041), 3041)):
        found.hear(Arrival(each, int(at * MS)))
    assert (await found.decide()).outcome.ticked is ticked


@pytest.mark.parametrize(("ticks", "outcome"), [(149, None), (153, Outcome.EXTRA)])
async def test_a_timer_catches_up_only_with_the_time_for_which_a_guest_stood(
    ticks: int, outcome: Outcome | None
) -> None:
    """The guest stood for 3 s while it printed, which is more TSC cycles than its line can say."""
    found = judge("pit", ResumeTiming(since_load=0.05, until_tick=1.2), 1.0)
    found.hear(Arrival(replace(tick(8, 21), progress=2 * SPINS), 21 * MS))
    stood = replace(tick(9, 3021), print_cycles=UNTOLD, progress=1)
    found.hear(Arrival(stood, 3021 * MS))
    for number in range(ticks):
        found.hear(Arrival(tick(10 + number, 3022 + 0.01 * number), 3022 * MS + 10_000 * number))
    decided = (await found.decide()).outcome
    assert decided is outcome if outcome else decided.ticked


@pytest.mark.parametrize(
    ("mode", "gap_ms", "outcome"),
    [
        ("periodic", 19.2, None),
        ("periodic", 17.8, None),
        ("periodic", 15.5, Outcome.EXTRA),
        ("one-shot", 19.2, Outcome.EXTRA),
    ],
)
async def test_a_tick_in_time_after_several_late_ones(
    mode: str, gap_ms: float, outcome: Outcome | None
) -> None:
    """KVM delivers three interrupts late, though the vCPU runs, and one at once.

    The first one was due 1.5 ms earlier, and a delivery takes up to 2 ms. A guest that arms its
    timer at each tick has its next one later.
    """
    found = judge(mode, ResumeTiming(since_load=0.05, until_tick=1.2), 1.0)
    at = 21.5
    found.hear(Arrival(replace(tick(8, at), progress=2 * SPINS), int(at * MS)))
    for number, gap in enumerate((20, 20, gap_ms, 20.4), start=9):
        at += gap
        found.hear(Arrival(tick(number, at), int(at * MS)))
    decided = (await found.decide()).outcome
    assert decided is outcome if outcome else decided.ticked


@pytest.mark.parametrize(("ran_ms", "outcome"), [(1.3, None), (2.5, Outcome.MISSED)])
async def test_kvm_may_take_two_milliseconds_to_deliver_a_tick_that_waited(
    ran_ms: float, outcome: Outcome | None
) -> None:
    """The vCPU stood for 260 ms, in which its timer fired."""
    found = judge("one-shot", ResumeTiming(since_load=0.05, until_tick=1.2), 1.0)
    found.hear(Arrival(replace(tick(8, 20.5), progress=2 * SPINS), int(20.5 * MS)))
    away, since = 260 * MS * TSC_PER_NS, int(ran_ms * MS * TSC_PER_NS)
    turns = {"stolen": away, "longest": away, "since_longest": since, "since_last": since}
    at = 20.5 + 10 + 260 + ran_ms
    found.hear(Arrival(replace(tick(9, at), **turns), int(at * MS)))
    decided = await found.decide()
    assert decided.outcome is outcome if outcome else decided.outcome.ticked, decided.why


@pytest.mark.parametrize(
    ("mode", "periods", "outcome"),
    [
        ("one-shot", 1.15, Outcome.LATE),
        ("tsc-deadline", 1.15, Outcome.LATE),
        ("one-shot", 1.5, Outcome.RATE),
        ("periodic", 1.15, Outcome.RATE),
    ],
)
async def test_a_host_that_makes_each_of_many_ticks_late(
    mode: str, periods: float, outcome: Outcome
) -> None:
    """A guest that arms its timer at each tick ticks at a longer period then, by no load's fault.

    The LAPIC of this guest can't be read.
    """
    found = judge(mode, ResumeTiming(since_load=0.05, until_tick=1.2), 1.0)
    at = 20.5
    found.hear(Arrival(replace(tick(8, at), progress=2 * SPINS), int(at * MS)))
    for number in range(9, 26):
        at += 20 * periods
        found.hear(Arrival(tick(number, at), int(at * MS)))
    decided = await found.decide()
    assert decided.outcome is outcome, decided.why


@pytest.mark.parametrize(
    ("state", "outcome"), [(SavedState.ARMED, Outcome.LATE), (SavedState.IN_SERVICE, None)]
)
async def test_a_tick_after_a_stop_may_wait_for_the_end_of_a_hold(
    state: SavedState, outcome: Outcome | None
) -> None:
    """The timer expired in the stop, and the guest held back its EOI for 0.75 periods."""
    found = judge("one-shot", ResumeTiming(since_load=0.5), 10.0, state=state)
    found.hear(Arrival(replace(tick(8, 20), progress=SPINS + 500), 20 * MS))
    away, since = 14 * MS * TSC_PER_NS, 5 * MS * TSC_PER_NS
    turns = {"stolen": away, "longest": away, "since_longest": since, "since_last": since}
    found.hear(Arrival(replace(tick(9, 50), **turns), 50 * MS))
    decided = (await found.decide()).outcome
    assert decided is outcome if outcome else decided.ticked


@pytest.mark.parametrize(("answering", "outcome"), [(10.0, None), (8.0, Outcome.MISSED)])
async def test_a_sleeping_guest_whose_qemu_takes_long_to_start(
    answering: float, outcome: Outcome | None
) -> None:
    """It may have resumed at any time until QEMU answered, and slept no longer than since then."""
    found = judge("one-shot", ResumeTiming(answering=answering, loading=answering), 0.0, Wait.HALT)
    found.hear(Arrival(tick(8, 1), 205 * MS))
    decided = (await found.decide()).outcome
    assert decided is outcome if outcome else decided.ticked


@pytest.mark.parametrize(
    ("after_silence", "outcome"), [(False, Outcome.MISSED), (True, Outcome.RECOVERED)]
)
async def test_a_sleeping_guest_recovers_only_from_a_proven_silence(
    *, after_silence: bool, outcome: Outcome
) -> None:
    """Otherwise its vCPU may have waited for a CPU since its interrupt came."""
    found = judge("one-shot", ResumeTiming(), 0.0, Wait.HALT)
    found.hear(Arrival(tick(8, 1), 205 * MS), after_silence=after_silence)
    assert (await found.decide()).outcome is outcome


@pytest.mark.parametrize(
    ("state", "outcome"), [(SavedState.PENDING, None), (SavedState.ARMED, Outcome.EXTRA)]
)
async def test_the_tick_after_one_that_was_held_back_comes_sooner(
    state: SavedState, outcome: Outcome | None
) -> None:
    """A periodic timer does not wait for the end of a hold."""
    found = judge("periodic", ResumeTiming(since_load=0.5), 10.0, state=state, hold_left=0.45)
    found.hear(Arrival(replace(tick(8, 19), progress=SPINS + 450), 19 * MS))
    found.hear(Arrival(replace(tick(9, 22), progress=150), 22 * MS))
    decided = (await found.decide()).outcome
    assert decided is outcome if outcome else decided.ticked


@pytest.mark.parametrize(("since_turn_ms", "outcome"), [(5, None), (0, Outcome.EARLY)])
async def test_the_timer_of_qemu_goes_on_until_the_stop(
    since_turn_ms: int, outcome: Outcome | None
) -> None:
    """The vCPU was stopped while it waited for a CPU: its phase is later than its TSC says."""
    timing = ResumeTiming(loading=0.05, lapic_stood=True)
    saved = {"phase": 0.4, "since_turn_ns": since_turn_ms * MS}
    found = judge("one-shot", timing, 1.0, accel=Accel.TCG, **saved)
    found.hear(Arrival(replace(tick(8, 8), progress=SPINS + 350), 8 * MS))
    decided = (await found.decide()).outcome
    assert decided is outcome if outcome else decided.ticked


@pytest.mark.parametrize(("at_ms", "outcome"), [(8, Outcome.EARLY), (14, None)])
async def test_no_tick_comes_before_the_end_of_a_hold(at_ms: int, outcome: Outcome | None) -> None:
    """However long the load took: a hold is measured in the vCPU's running time."""
    timing = ResumeTiming(loading=0.4)
    found = judge("one-shot", timing, 8.0, state=SavedState.IN_SERVICE, hold_left=0.3)
    spun = SPINS + (at_ms - 8) * 50
    found.hear(Arrival(replace(tick(8, at_ms), progress=spun), at_ms * MS))
    decided = (await found.decide()).outcome
    assert decided is outcome if outcome else decided.ticked


@pytest.mark.parametrize(
    ("guest", "waited_ms", "outcome"),
    [
        ("tick", 6, Outcome.LATE),
        ("linux", 6, Outcome.INDISTINCT),
        ("linux", 0, Outcome.LATE),
    ],
)
async def test_a_kernel_skips_the_interrupts_that_a_wait_delayed(
    guest: str, waited_ms: int, outcome: Outcome
) -> None:
    """The vCPU has run for 3 ms since the wait, and the tick comes 6 ms after a period."""
    judged = judge("one-shot", ResumeTiming(), 0, program=GUESTS[guest])
    judged.hear(Arrival(tick(8, 10), 10 * MS))
    units = waited_ms * MS * TSC_PER_NS
    waited = {"stolen": units, "longest": units, "since_longest": 3 * MS * TSC_PER_NS}
    late = replace(tick(9, 36), **waited, since_last=waited["since_longest"])
    judged.hear(Arrival(late, 36 * MS))
    assert (await judged.decide()).outcome is outcome


@pytest.mark.parametrize(("guest", "outcome"), [("tick", Outcome.EARLY), ("linux", None)])
async def test_a_kernel_that_sleeps_ticks_by_a_clock_that_may_go_on_over_a_load(
    guest: str, outcome: Outcome | None
) -> None:
    found = judge("periodic", ResumeTiming(), 0, wait=Wait.HALT, program=GUESTS[guest])
    found.hear(Arrival(tick(8, 2), 2 * MS))
    decided = await found.decide()
    assert decided.outcome is outcome if outcome else decided.outcome.ticked, decided.why


@pytest.mark.parametrize(
    ("mode", "accel", "outcome"),
    [
        ("rtc", Accel.KVM, Outcome.LATE),  # it may have been due at once, and held back
        ("rtc", Accel.TCG, Outcome.LATE),
        ("one-shot", Accel.TCG, Outcome.EARLY),
    ],
)
async def test_a_tick_of_qemus_own_timer_before_its_time(
    mode: str, accel: Accel, outcome: Outcome
) -> None:
    """No wait of QEMU for a CPU was measured."""
    found = judge(mode, ResumeTiming(lapic_stood=True), 1.0, accel=accel)
    found.hear(Arrival(replace(tick(8, 6), progress=SPINS + 250), 6 * MS))
    assert (await found.decide()).outcome is outcome
