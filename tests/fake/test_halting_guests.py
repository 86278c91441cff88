"""Guests that halt between ticks: their vCPUs use no CPU time and make no progress."""

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
