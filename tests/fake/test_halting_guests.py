"""Guests that halt between ticks: their vCPUs use no CPU time and make no progress."""

import functools
from pathlib import Path

import pytest

from orchestrator.campaign.run import run_plan
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.plan.load import build_plan
from orchestrator.testing import (
    FakeHost,
    FakeQemu,
    FakeVcpu,
    Script,
    full_period,
    immediate,
    lost,
    only_in_trials,
    remaining,
)
from orchestrator.testing.script import Behaviour
from orchestrator.verdict.run import CellResult
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel


async def campaign(
    out: Path, behaviour: Behaviour, accel: Accel = Accel.KVM, period_ms: int = 100
) -> CellResult:
    plan = build_plan(
        {
            "seed": 1,
            "axes": {"accel": accel, "period_ms": period_ms, "wait": "halt"},
            "limits": {"trials": 3, "rule_out": 0.7},
        },
        "test",
    )
    result = await run_plan(FakeHost(Script(only_in_trials(behaviour))), plan, accel, out)
    (cell,) = result.cells
    assert cell.cell.id.endswith("/wait=halt")
    assert [control.seen for control in cell.counts.controls] == [True, True], cell.why
    return cell


@pytest.mark.parametrize(
    ("behaviour", "accel", "outcome"),
    [
        (immediate, Accel.KVM, Outcome.IMMEDIATE),
        (full_period, Accel.KVM, Outcome.FULL_PERIOD),
        (remaining, Accel.TCG, Outcome.REMAINING),
    ],
)
async def test_the_hosts_clock_tells_the_class(
    tmp_path: Path, behaviour: Behaviour, accel: Accel, outcome: Outcome
) -> None:
    cell = await campaign(tmp_path, behaviour, accel)
    assert cell.counts.outcomes == {outcome: 3}, cell.why
    assert cell.verdict is Verdict.CLEAN


async def test_a_long_sleep_before_the_save_is_no_jump_of_the_clock(tmp_path: Path) -> None:
    """The load restores the TSC, and the guest noted it last at the tick before the save."""
    cell = await campaign(tmp_path, full_period, period_ms=1000)
    assert cell.counts.outcomes == {Outcome.FULL_PERIOD: 3}, cell.why


async def test_a_sleeping_guest_is_found_lost_and_diagnosed(tmp_path: Path) -> None:
    cell = await campaign(tmp_path, lost)
    assert cell.counts.causes == {Cause.LOST_INTERRUPT: 3}, cell.why
    assert cell.verdict is Verdict.AFFECTED


async def test_a_starved_guest_is_not_called_asleep(tmp_path: Path) -> None:
    """Its run delay grows: it wants to run."""

    def starve(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        qemu.frozen = True

    cell = await campaign(tmp_path, starve)
    assert set(cell.counts.outcomes) == {Outcome.UNKNOWN}
    assert cell.verdict is Verdict.INCONCLUSIVE


def doze(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
    """Hold back the interrupts of a timer that goes on, and wakes the vCPU at each period."""
    lost(qemu, vcpu, number)
    vcpu.flags, vcpu.wakes = 0x46, True


async def test_a_sleeper_that_wakes_in_vain_is_silent_all_the_same(tmp_path: Path) -> None:
    cell = await campaign(tmp_path, doze)
    assert cell.counts.outcomes == {Outcome.LOST: 3}, cell.why
    assert cell.counts.causes == {Cause.NOT_DELIVERABLE: 3}
    assert cell.verdict is Verdict.ANOMALOUS


async def test_a_sleeper_that_waits_for_a_cpu_again_and_again_is_not(tmp_path: Path) -> None:
    """Its thread sleeps whenever it is looked at, but it has waited for most of the time."""

    def wait_often(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        def wait(waits: bool) -> None:
            qemu.advance()
            qemu.frozen = waits

        doze(qemu, vcpu, number)
        for at_ms in range(0, 20_000, 50):
            for after_ms, waits in ((10, True), (45, False)):
                at_ns = (at_ms + after_ms) * 1_000_000
                qemu.do_later(at_ns, functools.partial(wait, waits))

    cell = await campaign(tmp_path, wait_often)
    assert set(cell.counts.outcomes) == {Outcome.UNKNOWN}, cell.why
