"""Firmware that makes a tick at a wrong time: each is seen as what it is."""

import pytest

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.tick.config import Fault
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.host.local import LocalHost
from orchestrator.trial.follow import LEAST_TICKS
from orchestrator.vm.config import Accel
from tests.support.faulty_guest import FAULT_TICK, fallen_silent, loaded
from tests.support.needs import not_applicable

pytestmark = pytest.mark.alone

PERIOD_NS = 50_000_000
GUEST = GuestConfig(period_ns=PERIOD_NS)


FAULTS = [
    (Fault.NONE, None),
    (Fault.LATE, Outcome.LATE),
    # The guest arms its timer at each tick: a tick that comes too soon is one too many.
    (Fault.EARLY, Outcome.EXTRA),
    (Fault.EXTRA, Outcome.EXTRA),
    (Fault.RATE, Outcome.RATE),
]

#: Loads until one must have shown the fault. On a busy host the vCPU may have waited for a CPU
#: while a late tick was overdue, and the load shows nothing then.
LOADS = 15


async def show(
    host: LocalHost,
    accel: Accel,
    guest: GuestConfig,
    fault: Fault,
    outcome: Outcome | None,
    *,
    ticks: int = FAULT_TICK - 1,
    follow: int = LEAST_TICKS,
    latest: float = 1.0,
) -> None:
    """Load saves of the guest until one shows the outcome, and no load anything else."""
    for _ in range(LOADS):
        async with loaded(
            host, accel, guest, fault, ticks=ticks, follow=follow, latest=latest
        ) as (_, _, result):  # fmt: skip
            print(result.outcome, result.why)
        found = None if result.outcome.ticked else result.outcome
        if found is outcome:
            return
        # A few ticks of a wrong rate are no more than late.
        late = outcome is Outcome.RATE and found in (Outcome.LATE, Outcome.MISSED)
        assert found is None or late, result.why
    pytest.fail(f"{LOADS} loads, and none was {outcome}")


#: Every fault of a one-shot timer, and of a deadline none and the first in the usual run.
ARMED = [
    pytest.param(
        fault, outcome, mode,
        marks=() if mode is TimerMode.ONE_SHOT or number < 2 else pytest.mark.thorough,
    )
    for number, (fault, outcome) in enumerate(FAULTS)
    for mode in (TimerMode.ONE_SHOT, TimerMode.TSC_DEADLINE)
]  # fmt: skip


@pytest.mark.parametrize(("fault", "outcome", "mode"), ARMED)
async def test_the_tick_after_the_first(
    host: LocalHost, kvm: Accel, mode: TimerMode, fault: Fault, outcome: Outcome | None
) -> None:
    await show(host, kvm, GuestConfig(mode, period_ns=PERIOD_NS), fault, outcome)


@pytest.mark.parametrize(("fault", "outcome"), FAULTS)
async def test_the_tick_after_the_first_under_tcg(
    host: LocalHost, fault: Fault, outcome: Outcome | None
) -> None:
    await show(host, Accel.TCG, GUEST, fault, outcome)


@pytest.mark.parametrize(
    ("fault", "outcome"), [(Fault.EARLY, Outcome.EARLY), (Fault.LATE, Outcome.LATE)]
)
async def test_the_first_tick_under_tcg(host: LocalHost, fault: Fault, outcome: Outcome) -> None:
    """QEMU's own LAPIC keeps what was left of the period that the fault has changed."""
    await show(host, Accel.TCG, GUEST, fault, outcome, ticks=FAULT_TICK, latest=0.2)


async def test_a_periodic_timer_of_a_wrong_rate(host: LocalHost, kvm: Accel) -> None:
    periodic = GuestConfig(TimerMode.PERIODIC, period_ns=PERIOD_NS)
    await show(host, kvm, periodic, Fault.RATE, Outcome.RATE)


@pytest.mark.parametrize(
    ("mode", "period_ns"),
    [
        (TimerMode.ONE_SHOT, PERIOD_NS),
        (TimerMode.PIT, PERIOD_NS),
        (TimerMode.RTC, 62_500_000),
    ],
)
async def test_spurious_interrupts_are_no_strays(
    host: LocalHost, kvm: Accel, mode: TimerMode, period_ns: int
) -> None:
    guest = GuestConfig(mode, period_ns=period_ns)
    async with loaded(host, kvm, guest, Fault.SPURIOUS) as (instance, _, result):
        assert result.outcome.ticked, result.why
        state = await instance.guest_state()
        assert (state.strays, state.spurious) == (0, 1 if mode is TimerMode.ONE_SHOT else 3)


async def test_an_interrupt_in_service_on_the_spurious_vector_is_counted(host: LocalHost) -> None:
    """Its priority is above the tick's, and the guest does not end it.

    A LAPIC in the kernel may end interrupts by itself, and QEMU's does not.
    """
    _, found = await fallen_silent(host, Accel.TCG, GUEST, Fault.STRAY)
    assert found.cause is Cause.WRONG_VECTOR
    assert "1 interrupt(s) on vectors that it never uses (the last one on 255)" in found.sentence


#: Two vCPUs, of which the second one gets the fault.
PAIR = GuestConfig(period_ns=PERIOD_NS, vcpus=2, subject=1)


async def test_a_tsc_that_moves_off_the_other_ones(host: LocalHost, accel: Accel) -> None:
    """By 0.8 ms: far less than a TSC can be off the host's clock unnoticed."""
    await show(host, accel, PAIR, Fault.SKEW, Outcome.CLOCK)


async def test_a_kvmclock_that_moves_off_the_other_ones(host: LocalHost, kvm: Accel) -> None:
    async with loaded(host, kvm, PAIR, Fault.NONE) as (_, save, _):
        if not save.first.kvmclock_ns:
            not_applicable("this KVM offers its guests no kvmclock")
    await show(host, kvm, PAIR, Fault.CLOCK, Outcome.CLOCK)


async def test_a_wrong_tick_long_after_the_load(host: LocalHost, kvm: Accel) -> None:
    """It is found among the ticks that are followed after the last load of a save."""
    before = FAULT_TICK - 5
    async with loaded(host, kvm, GUEST, Fault.LATE, ticks=before) as (_, _, result):
        assert result.outcome.ticked, result.why
    await show(host, kvm, GUEST, Fault.LATE, Outcome.LATE, ticks=before, follow=8)
