"""A first tick whose number is not the one after the save's."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from orchestrator.findings.arrival import Arrival
from orchestrator.findings.outcome import Outcome
from orchestrator.findings.save import Save, VcpuSave
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.lines import Tick
from orchestrator.guest.state import GuestState, Stage
from orchestrator.host.tracefs import MARK_CONT, MARK_LOAD
from orchestrator.testing.clock import FakeClock
from orchestrator.timers.first_tick import ResumeTiming
from orchestrator.trial.limits import Limits
from orchestrator.trial.numbering import Numbering, load_again
from orchestrator.trial.pace import Pace
from orchestrator.trial.resume import Resumed
from orchestrator.vm.config import Accel, InstanceConfig

MS = 1_000_000
PERIOD_NS = 20 * MS
TSC_PER_NS = 2

#: The TSC at `cont`, unless it was restored to the save.
CONT_TSC = 10**12

SAVE = VcpuSave(
    vcpu=0, phase=0.5, progress=500, progress_per_period=1000.0, ticks=7, arms=8, lvtt=0x40,
    tmict=PERIOD_NS, irr=(), isr=(), interrupt_flag=True, printing=False, stage=Stage.TICKING,
    tsc=CONT_TSC - 100 * MS * TSC_PER_NS,
)  # fmt: skip


def tick(number: int, at_ms: float, turn_began_ms: float | None = None) -> Arrival:
    """Return a tick at a time since `cont`, after a long turn that ended at 1 ms."""
    long = {}
    if turn_began_ms is not None:
        since, length = (int(ms * MS * TSC_PER_NS) for ms in (at_ms - 1, 1 - turn_began_ms))
        long = {"stolen": length, "longest": length, "since_longest": since}
    tsc = CONT_TSC + int(at_ms * MS * TSC_PER_NS)
    return Arrival(Tick(number, 900, tsc, 0, number, **long), int(at_ms * MS))


def numbering(counted: int, mode: str = "one-shot") -> Numbering:
    async def known_state(vcpu: int) -> GuestState:
        return GuestState(False, counted, counted + 1, 0, counted, Stage.TICKING, 0)

    config = InstanceConfig(Accel.KVM, GuestConfig(period_ns=PERIOD_NS, mode=mode))
    pace = Pace()
    pace.known_cycles = PERIOD_NS * TSC_PER_NS
    resumed = Resumed(0, ResumeTiming(), 0, load_ns=-5 * MS, heard_before={0: tick(8, -6)})
    instance = SimpleNamespace(config=config, known_state=known_state)
    return Numbering(instance, SAVE, pace, Limits(PERIOD_NS), resumed)  # type: ignore[arg-type]  # asked for no more


@pytest.mark.parametrize(
    ("first", "counted", "outcome"),
    [
        (tick(9, 19.0), 9, Outcome.NOT_LOADED),  # two ticks in less than a period
        (tick(9, 19.0, turn_began_ms=0.5), 9, Outcome.EXTRA),  # but the stop is no turn: a storm
        (tick(9, 19.5), 9, Outcome.UNKNOWN),  # the first line may have been skipped
        (tick(9, 19.5, turn_began_ms=-5), 9, Outcome.NOT_LOADED),  # a turn from before `cont`
        (tick(9, 19.5, turn_began_ms=0.5), 9, Outcome.UNKNOWN),
        (tick(9, 150, turn_began_ms=-2), 9, Outcome.UNKNOWN),  # the pace is 2 % too short
        (tick(9, 240, turn_began_ms=-5), 9, Outcome.NOT_LOADED),
        (tick(9, 250, turn_began_ms=-5), 9, Outcome.UNKNOWN),  # or the pace is 1 % too short
        (tick(9, 19.0), 8, Outcome.UNKNOWN),  # the guest's memory says otherwise
        (tick(10, 38.0), 10, Outcome.EXTRA),  # not the number after the last one, either
        (tick(10, 40.0), 10, Outcome.UNKNOWN),
        (tick(1, 19.0), 1, Outcome.NOT_LOADED),  # it has begun anew
        (tick(7, 19.0), 7, Outcome.NOT_LOADED),
    ],
)
async def test_what_a_number_shows(first: Arrival, counted: int, outcome: Outcome) -> None:
    assert (await numbering(counted).judge_first(first)).outcome is outcome


@pytest.mark.parametrize(
    ("tsc_before_turn", "outcome"), [(0, Outcome.UNKNOWN), (40_000_000, Outcome.NOT_LOADED)]
)
async def test_the_turn_of_the_save_is_in_the_line_of_a_later_tick_if_one_was_skipped(
    tsc_before_turn: int, outcome: Outcome
) -> None:
    """As in a timer that runs by itself, whose ticks QEMU held back until two were due."""
    found, saved_tsc = numbering(9), 10**9
    found._save = replace(SAVE, tsc=saved_tsc)
    came = tick(9, 49.0, turn_began_ms=-1000)
    end = saved_tsc + tsc_before_turn + came.tick.longest + came.tick.since_longest
    came = replace(came, tick=replace(came.tick, tsc=end))
    assert (await found.judge_first(came)).outcome is outcome


@pytest.mark.parametrize(("number", "outcome"), [(9, Outcome.UNKNOWN), (10, Outcome.EXTRA)])
async def test_a_timer_that_catches_up_may_give_a_tick_more(number: int, outcome: Outcome) -> None:
    found = numbering(number, "pit")
    assert (await found.judge_first(tick(number, 2.0))).outcome is outcome


async def test_a_turn_that_was_stolen_before_the_save_is_no_turn_since_the_load() -> None:
    """It is in the save, and stays the longest one if the load restores the TSC."""
    found = numbering(9)
    came = tick(9, 19.5, turn_began_ms=-5)
    in_save = SAVE.tsc + int((19.5 - 1) * MS * TSC_PER_NS)  # its end is the last turn of the save
    for ended, outcome in [(in_save, Outcome.UNKNOWN), (in_save + 10_000, Outcome.NOT_LOADED)]:
        first = replace(came, tick=replace(came.tick, tsc=ended))
        assert (await found.judge_first(first)).outcome is outcome


@pytest.mark.parametrize(
    ("off", "outcome"), [(3_000, Outcome.UNKNOWN), (4_000, Outcome.NOT_LOADED)]
)
async def test_three_roundings_do_not_move_the_turn_of_the_save(off: int, outcome: Outcome) -> None:
    found, came = numbering(9), tick(9, 49.0, turn_began_ms=-1000)
    end = SAVE.tsc + off + came.tick.longest + came.tick.since_longest
    came = replace(came, tick=replace(came.tick, tsc=end))
    assert (await found.judge_first(came)).outcome is outcome


async def test_a_turn_from_before_cont_does_not_make_ticks_too_many() -> None:
    """The number does not continue those from before the load."""
    first = tick(10, 59.5, turn_began_ms=-5)
    assert (await numbering(10).judge_first(first)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("mode", "irr", "isr", "number", "at_ms", "outcome"),
    [
        ("one-shot", (), (), 10, 38.0, Outcome.EXTRA),
        ("periodic", (), (), 10, 14.5, Outcome.UNKNOWN),  # 19.5 ms after the load
        ("periodic", (), (), 10, 14.0, Outcome.EXTRA),
        ("rtc", (), (), 10, 14.5, Outcome.UNKNOWN),
        ("one-shot", (64,), (), 10, 14.5, Outcome.UNKNOWN),
        ("one-shot", (), (64,), 10, 14.5, Outcome.UNKNOWN),
        ("one-shot", (64,), (), 11, 14.5, Outcome.EXTRA),
    ],
)
async def test_a_tick_may_wait_for_cont_and_the_next_one_come_soon(
    mode: str, irr: tuple[int, ...], isr: tuple[int, ...], number: int, at_ms: float,
    outcome: Outcome,
) -> None:  # fmt: skip
    """A timer that reloads runs on from the load, which began 5 ms before `cont`."""
    found = numbering(number, mode)
    found._save = replace(SAVE, irr=irr, isr=isr)
    assert (await found.judge_first(tick(number, at_ms))).outcome is outcome


def stale(first: int, last: int, came_ms: float) -> list[Arrival]:
    """Return ticks whose numbers follow each other, a period apart."""
    return [tick(number, came_ms + 20 * (number - first)) for number in range(first, last + 1)]


@pytest.mark.parametrize(
    ("ticks", "counted", "outcome"),
    [
        (stale(9, 14, 17.0), 14, Outcome.NOT_LOADED),
        (stale(9, 13, 17.0), 13, Outcome.UNKNOWN),  # tick 8 came before: they may all be old
        (stale(9, 14, 17.0), 13, Outcome.UNKNOWN),  # the guest's memory says otherwise
        (stale(8, 14, 17.0), 14, Outcome.UNKNOWN),  # tick 8 was heard before the load
        (stale(10, 15, 17.0), 15, Outcome.UNKNOWN),  # they do not continue from tick 8
        (stale(9, 10, 17.0) + stale(12, 14, 57.0), 14, Outcome.UNKNOWN),  # not each other
        (stale(9, 60, 41.0), 60, Outcome.UNKNOWN),  # a loaded guest whose first line was skipped
    ],
)
async def test_ticks_from_before_a_load_that_go_on_after_it(
    ticks: list[Arrival], counted: int, outcome: Outcome
) -> None:
    """The load took three periods: up to tick 13 they may be from before its end."""
    found = numbering(counted)
    found._save = replace(SAVE, ticks=6)
    found._resumed = Resumed(
        0,
        ResumeTiming(loading=3.0),
        0,
        load_ns=0,
        heard_before={0: tick(8, 0)},
        lines_may_be_stale=True,
    )
    assert (await found.judge_stale(ticks, 10**9)).outcome is outcome


@pytest.mark.parametrize(
    ("mode", "number", "outcome"),
    [
        ("pit", 16, Outcome.UNKNOWN),
        ("pit", 30, Outcome.EXTRA),
        ("periodic", 16, Outcome.EXTRA),
    ],
)
async def test_a_timer_that_catches_up_gives_the_ticks_of_all_the_time_since_the_load(
    mode: str, number: int, outcome: Outcome
) -> None:
    """A busy host kept the vCPU waiting for eight periods after the load."""
    before = Arrival(Tick(8, 900, 2 * 10**9, 0, 9), 160 * MS)
    heard = Arrival(Tick(number, 0, 2 * 10**9 + 3 * MS * TSC_PER_NS, 0, 17), 163 * MS)
    assert (await numbering(number, mode).judge_later(before, heard)).outcome is outcome


@pytest.mark.parametrize(
    ("counted", "loaded", "shown"), [(9, 9, True), (9, 8, False), (9, 7, False), (7, 7, False)]
)
async def test_another_load_into_the_stopped_guest(counted: int, loaded: int, shown: bool) -> None:
    """The trace has its marks, and no line from before it is left when the guest runs on."""
    done: list[str] = []
    instance = SimpleNamespace(
        config=numbering(9)._instance.config, vcpus=range(1), clock=FakeClock(),
        process=SimpleNamespace(tracer=SimpleNamespace(mark=done.append)),
        console=SimpleNamespace(drain=lambda: done.append("drain") or 0),
        monitor=SimpleNamespace(
            take_stops=lambda: done.append("forget stops"), resumed_ns=0, loaded_ns=0
        ),
    )  # fmt: skip

    async def stop() -> None:
        done.append("stop")

    async def cont() -> None:
        done.append("cont")

    async def known_state(vcpu: int) -> GuestState:
        done.append("read")
        return GuestState(False, counted, counted + 1, 0, counted, Stage.TICKING, 0)

    async def load(instance: object, tag: str) -> None:
        nonlocal counted
        counted = loaded
        done.append("load")

    instance.stop, instance.cont, instance.known_state = stop, cont, known_state
    snapshots = SimpleNamespace(new_process=False, load=load)
    save = Save("save-1", 0.5, (SAVE,))
    why = await load_again(instance, snapshots, save)  # type: ignore[arg-type]  # asked for no more
    assert bool(why) is shown
    assert done == [
        "stop", "read", MARK_LOAD, "load", "read", MARK_CONT, "drain", "forget stops", "cont"
    ]  # fmt: skip
