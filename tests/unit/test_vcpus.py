"""What several vCPUs amount to: in a trial, a save, a control, and on one console."""

import asyncio
import socket
from dataclasses import replace

import pytest

from orchestrator.clock import LocalClock
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome, TrialResult, VcpuResult, combine
from orchestrator.findings.save import Save, VcpuSave
from orchestrator.guest.lapic import Lapic, Registers
from orchestrator.guest.tick.lines import Tick, render
from orchestrator.guest.tick.state import GuestState, Stage
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.journal.count import control_seen, control_subject
from orchestrator.trial.look import ANY_PHASE, describe
from orchestrator.vm.console import Console

IMMEDIATE = Outcome.IMMEDIATE


def of(*outcomes: Outcome) -> TrialResult:
    return combine([VcpuResult(outcome, vcpu=vcpu) for vcpu, outcome in enumerate(outcomes)])


@pytest.mark.parametrize(
    ("outcomes", "vcpu"),
    [
        ((IMMEDIATE, Outcome.INDISTINCT), 0),
        ((Outcome.INDISTINCT, IMMEDIATE), 0),
        ((IMMEDIATE, Outcome.MISSED), 1),
        ((IMMEDIATE, Outcome.MISSED, Outcome.UNKNOWN), 2),
        ((Outcome.UNKNOWN, Outcome.RECOVERED), 1),
        ((Outcome.RECOVERED, Outcome.CRASHED), 1),
        ((Outcome.UNKNOWN, IMMEDIATE, Outcome.LOST), 2),
        ((Outcome.CRASHED, Outcome.LOST, Outcome.LOST), 1),
    ],
)
def test_a_trial_is_what_the_gravest_of_its_vcpus_is(
    outcomes: tuple[Outcome, ...], vcpu: int
) -> None:
    whole = of(*outcomes)
    assert (whole.outcome, whole.telling) == (outcomes[vcpu], vcpu)
    assert [each.outcome for each in whole.vcpus] == list(outcomes)


def test_a_trial_of_one_vcpu_is_that_one() -> None:
    one = VcpuResult(IMMEDIATE, why="seen", ticks_after_load=2)
    whole = combine([one])
    assert whole.vcpus == (one,)
    assert (whole.outcome, whole.why, whole.ticks_after_load) == (IMMEDIATE, "seen", 2)


def state(**fields: object) -> GuestState:
    usual = GuestState(False, 7, 8, 500, 7, Stage.TICKING, 0)
    return replace(usual, **fields)


LAPIC = Lapic(0x40, 1_000_000, frozenset(), frozenset())
RUNNING = Registers(0x34, 0x246, halted=False)


def saved(vcpu: int, lapic: Lapic = LAPIC, **fields: object) -> VcpuSave:
    return describe(
        (state(**fields), lapic, RUNNING), 1000.0, TimerMode.ONE_SHOT,
        within=(0.35, 0.65) if vcpu == 0 else ANY_PHASE, vcpu=vcpu,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        ({}, None),
        ({"spins": 990}, None),  # its phase was not chosen
        ({"spins": 1600}, "off phase on vCPU 1"),  # its tick is overdue: it may be dead already
        ({"printing": True}, "printing on vCPU 1"),
        ({"arms": 7}, "not armed on vCPU 1"),
    ],
)
def test_a_save_is_eligible_if_every_vcpu_is(second: dict[str, object], reason: str | None) -> None:
    save = Save("s", 0.5, (saved(0), saved(1, **second)))
    assert save.ineligible == ((reason,) if reason else ())
    assert save.eligible is (reason is None)


def test_a_pending_interrupt_on_another_vcpu_counts() -> None:
    pending = replace(LAPIC, irr=frozenset({0x40}))
    save = Save("s", 0.5, (saved(0), saved(1), saved(2, pending)))
    assert save.ineligible == ("pending on vCPU 2",)


def test_controls_are_on_one_vcpu_after_another() -> None:
    assert [control_subject(number, 4) for number in (1, 2, 3, 4, 5)] == [3, 2, 1, 0, 3]
    assert [control_subject(number, 1) for number in (1, 2)] == [0, 0]


LOST, INTERRUPT = Outcome.LOST, Cause.LOST_INTERRUPT


@pytest.mark.parametrize(
    ("outcomes", "causes", "seen"),
    [
        ({0: IMMEDIATE, 1: LOST}, {1: INTERRUPT}, True),
        ({0: LOST, 1: LOST}, {0: INTERRUPT, 1: INTERRUPT}, True),  # an affected host
        ({0: LOST, 1: LOST}, {0: Cause.NOT_RESTORED, 1: INTERRUPT}, False),
        ({0: LOST, 1: IMMEDIATE}, {0: INTERRUPT}, False),
        ({0: IMMEDIATE, 1: LOST}, {1: Cause.UNEXPLAINED}, False),
        ({0: IMMEDIATE, 1: Outcome.UNKNOWN}, {}, False),
        ({0: Outcome.UNKNOWN}, {}, False),  # the second was not even watched
    ],
)
def test_a_control_is_seen_on_its_own_vcpu(
    outcomes: dict[int, Outcome], causes: dict[int, Cause], seen: bool
) -> None:
    assert control_seen(TimerMode.ONE_SHOT, outcomes, causes, subject=1) is seen


def test_a_control_of_periodic_timers_is_a_missed_tick() -> None:
    missed = {0: Outcome.FULL_PERIOD, 1: Outcome.MISSED}
    assert control_seen(TimerMode.PERIODIC, missed, {}, subject=1)
    assert not control_seen(TimerMode.PERIODIC, missed, {}, subject=0)


def tick(vcpu: int, sequence: int) -> bytes:
    return render("T", sequence, 1, 0, 2, 3, sequence + 1, vcpu=vcpu)


async def test_each_vcpu_s_lines_come_in_their_order_from_one_port_and_from_many() -> None:
    for streams in (1, 2):
        pairs = [socket.socketpair() for _ in range(streams)]
        console = Console([ours for ours, _ in pairs], LocalClock())
        try:
            for vcpu, sequence in [(1, 1), (0, 1), (1, 2), (1, 3), (0, 2)]:
                pairs[vcpu % streams][1].send(tick(vcpu, sequence))
            heard = []
            for vcpu in (0, 1, 1, 0, 1):
                arrived = await console.next_line(1, vcpu)
                assert arrived is not None
                assert isinstance(arrived[0], Tick)
                heard.append((vcpu, arrived[0].sequence))
            assert heard == [(0, 1), (1, 1), (1, 2), (0, 2), (1, 3)]
            assert await console.next_line(0.01, 0) is None
            pairs[0][1].send(tick(0, 3) + tick(1, 4))
            await asyncio.sleep(0)
            console.drain()
            assert await console.next_line(0.01, 1) is None
        finally:
            console.close()
            for pair in pairs:
                for stream in pair:
                    stream.close()
