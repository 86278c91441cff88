"""How the clocks of a vCPU are judged after a load."""

import pytest

from orchestrator.findings.arrival import Arrival
from orchestrator.findings.save import VcpuSave
from orchestrator.guest.lines import Tick
from orchestrator.guest.state import Stage
from orchestrator.timers.first_tick import ResumeTiming
from orchestrator.trial.clock_judge import ClockJudge
from orchestrator.trial.pace import Pace, Paces
from orchestrator.trial.resume import Resumed

MS = 1_000_000
PERIOD_NS = 20 * MS
TSC_PER_NS = 2


def tick(number: int, at_ms: float, kvmclock_ms: float = 0.0) -> Tick:
    """A tick at a moment by the TSC; without kvmclock if it is 0."""
    tsc = int(at_ms * MS * TSC_PER_NS)
    return Tick(number, 0, tsc, 0, number + 1, kvmclock_ns=int(kvmclock_ms * MS))


def judge(
    *,
    since_turn_ms: float = 0.0,
    pace: Pace | None = None,
    resumed_ms: int = 2005,
    ineligible: tuple[str, ...] = (),
) -> ClockJudge:
    """Return a judge of a guest that was saved at 1000 ms by both clocks, and loaded at 2000 ms.

    Its lines arrived at once before, and the tick before the save came at 990 ms.
    """
    pace = pace or Pace()
    pace.known_cycles = PERIOD_NS * TSC_PER_NS
    for number in range(5):
        at_ms = 900 + 20 * number
        pace.clocks.hear(tick(number, at_ms, at_ms), at_ms * MS)
    save = VcpuSave(
        vcpu=0, phase=0.5, progress=0, progress_per_period=1000.0, ticks=5, arms=6, lvtt=0,
        tmict=0, irr=(), isr=(), interrupt_flag=True, printing=False, stage=Stage.TICKING,
        tsc=1000 * MS * TSC_PER_NS, kvmclock_ns=990 * MS, since_turn_ns=int(since_turn_ms * MS),
        ineligible=ineligible,
    )  # fmt: skip
    resumed = Resumed(resumed_ms * MS, ResumeTiming(), 0, load_ns=2000 * MS)
    return ClockJudge(pace, save, resumed, PERIOD_NS, sham=False, runs_ahead=False)


def hear(judged: ClockJudge, number: int, at_ms: float, tsc_ms: float, clock_ms: float) -> str:
    return judged.hear(Arrival(tick(number, tsc_ms, clock_ms), int(at_ms * MS)))


@pytest.mark.parametrize(
    ("tsc_ms", "clock_ms", "said"),
    [
        (1001, 1001, ""),
        (2006, 1001, ""),
        (2006, 2006, ""),
        (998, 1001, "the guest's TSC went back at the load"),
        (1001, 988, "the guest's kvmclock went back at the load"),
        (1200, 1001, "the guest's TSC jumped at the load"),
        (1001, 1200, "the guest's kvmclock jumped at the load"),
    ],
)
def test_a_clock_is_restored_to_the_save_or_goes_on(
    tsc_ms: float, clock_ms: float, said: str
) -> None:
    judged = judge()
    found = hear(judged, 6, 2006, tsc_ms, clock_ms)
    assert found.startswith(said)
    assert bool(found) is bool(said)


@pytest.mark.parametrize(
    ("first_ms", "second_ms", "said"),
    [
        (1001, 1002, False),
        (2006, 2007, False),
        (1001, 2006, True),
        (2006, 1001, True),
    ],
)
def test_a_load_does_the_same_to_the_tscs_of_all_vcpus(
    first_ms: float, second_ms: float, said: bool
) -> None:
    paces = Paces(2)
    assert hear(judge(pace=paces[0]), 6, 2006, first_ms, 0) == ""
    found = hear(judge(pace=paces[1]), 6, 2006, second_ms, 0)
    restored = int(second_ms < first_ms)
    why = f"restored the TSC of vCPU {restored} to the save, and let the TSC of vCPU {1 - restored}"
    assert (why in found) is bool(found) is said


def test_another_load_may_do_another_thing_to_all_tscs() -> None:
    paces = Paces(2)
    assert hear(judge(pace=paces[0]), 6, 2006, 1001, 0) == ""
    assert hear(judge(pace=paces[1], resumed_ms=2004), 6, 2006, 2006, 0) == ""


@pytest.mark.parametrize(("since_turn_ms", "jumped"), [(0, True), (200, False)])
def test_a_vcpu_that_waited_as_it_was_stopped(since_turn_ms: float, jumped: bool) -> None:
    """The save holds a TSC that is 200 ms past the end of the guest's last turn."""
    found = hear(judge(since_turn_ms=since_turn_ms), 6, 2006, 1201, 0)
    assert bool(found) is jumped


@pytest.mark.parametrize(
    ("second_ms", "jumped"), [(1021, False), (1141, False), (1200, True), (1800, True)]
)
def test_a_first_line_that_arrived_late_makes_no_jump_of_the_next_one(
    second_ms: float, jumped: bool
) -> None:
    """The first tick came at once, and its line 100 ms later; the second line arrived at once."""
    judged = judge()
    assert hear(judged, 6, 2105, 1001, 1001) == ""
    found = hear(judged, 7, 2106, second_ms, second_ms)
    assert bool(found) is jumped
    assert found.startswith("the guest's TSC jumped ahead") is jumped


def test_a_kvmclock_that_jumps_between_two_ticks() -> None:
    judged = judge()
    assert hear(judged, 6, 2006, 1001, 1001) == ""
    assert "kvmclock jumped ahead" in hear(judged, 7, 2026, 1021, 1121)


@pytest.mark.parametrize(("ineligible", "jumped"), [((), True), (("interrupts off",), False)])
def test_a_vcpu_that_was_saved_in_the_handler_of_a_tick(
    ineligible: tuple[str, ...], jumped: bool
) -> None:
    """It had read the TSC before, and computes kvmclock of that moment by what KVM says now.

    The tick after it seems to come too late. Only a control has such a save: its other vCPUs need
    not be between two ticks.
    """
    judged = judge(ineligible=ineligible)
    first = hear(judged, 6, 2006, 1001, 900)
    second = hear(judged, 7, 2026, 2026, 0)
    assert [bool(first), bool(second)] == [jumped, jumped]
