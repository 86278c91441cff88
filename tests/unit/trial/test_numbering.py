"""A first tick whose number is not the one after the save's."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from orchestrator.findings.arrival import Arrival
from orchestrator.findings.outcome import Outcome
from orchestrator.findings.save import VcpuSave
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.lines import Tick
from orchestrator.guest.state import GuestState, Stage
from orchestrator.timers.first_tick import ResumeTiming
from orchestrator.trial.limits import Limits
from orchestrator.trial.numbering import Numbering
from orchestrator.trial.pace import Pace
from orchestrator.trial.resume import Resumed
from orchestrator.vm.config import Accel, InstanceConfig

MS = 1_000_000
PERIOD_NS = 20 * MS
TSC_PER_NS = 2

SAVE = VcpuSave(
    vcpu=0, phase=0.5, progress=500, progress_per_period=1000.0, ticks=7, arms=8, lvtt=0x40,
    tmict=PERIOD_NS, irr=(), isr=(), interrupt_flag=True, printing=False, stage=Stage.TICKING,
)  # fmt: skip


def tick(number: int, at_ms: float, turn_began_ms: float | None = None) -> Arrival:
    """Return a tick at a time since `cont`, after a long turn that ended at 1 ms."""
    long = {}
    if turn_began_ms is not None:
        since, length = (int(ms * MS * TSC_PER_NS) for ms in (at_ms - 1, 1 - turn_began_ms))
        long = {"stolen": length, "longest": length, "since_longest": since}
    return Arrival(Tick(number, 900, 0, 0, number, **long), int(at_ms * MS))


def numbering(counted: int, mode: str = "one-shot") -> Numbering:
    async def guest_state(vcpu: int) -> GuestState:
        return GuestState(False, counted, counted + 1, 0, counted, Stage.TICKING, 0)

    config = InstanceConfig(Accel.KVM, GuestConfig(period_ns=PERIOD_NS, mode=mode))
    pace = Pace()
    pace.known_cycles = PERIOD_NS * TSC_PER_NS
    resumed = Resumed(0, ResumeTiming(), 0, load_ns=-5 * MS, heard_before={0: tick(8, -6)})
    instance = SimpleNamespace(config=config, guest_state=guest_state)
    return Numbering(instance, SAVE, pace, Limits(PERIOD_NS), resumed)  # type: ignore[arg-type]  # asked for no more


@pytest.mark.parametrize(
    ("first", "counted", "outcome"),
    [
        (tick(9, 19.0), 9, Outcome.NOT_LOADED),  # two ticks in less than a period
        (tick(9, 19.5), 9, Outcome.UNKNOWN),  # the first line may have been skipped
        (tick(9, 19.5, turn_began_ms=-5), 9, Outcome.NOT_LOADED),  # a turn from before `cont`
        (tick(9, 19.5, turn_began_ms=0.5), 9, Outcome.UNKNOWN),
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


@pytest.mark.parametrize(("number", "outcome"), [(13, Outcome.UNKNOWN), (14, Outcome.NOT_LOADED)])
def test_ticks_from_before_a_load_that_go_on_after_it(number: int, outcome: Outcome) -> None:
    """Tick 8 was heard just before the load: up to tick 10 may be from before its end."""
    found = numbering(number)
    resumed = Resumed(
        0, ResumeTiming(loading=3.0), 0, load_ns=0, heard_before={0: tick(8, 0)}, by_itself=True
    )
    found._resumed = resumed
    assert found.judge_stale(number, 10**9).outcome is outcome


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
