"""A host that gets too busy to measure pauses the campaign, which says so."""

from pathlib import Path

import pytest

from orchestrator.campaign.run import run_plan
from orchestrator.findings.outcome import Outcome
from orchestrator.plan.load import build_plan
from orchestrator.testing import FakeHost, FakeQemu, FakeVcpu, Script, immediate
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.journal import journal_dicts

PLAN = build_plan(
    {
        "axes": {"period_ms": 100, "loads_per_save": 1},
        "limits": {"trials": 3, "rule_out": 0.7},
        "controls": 0,
    },
    "test",
)


@pytest.mark.parametrize("pressure", [[90.0, 90.0, 10.0], []])
async def test_a_busy_host_pauses_the_campaign(tmp_path: Path, pressure: list[float]) -> None:
    stalled: list[int] = []

    def stall_thrice(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        if len(stalled) < 3:
            stalled.append(number)
            qemu.frozen = True

    host = FakeHost(Script(stall_thrice))
    host.pressure = list(pressure)
    result = await run_plan(host, PLAN, Accel.KVM, tmp_path)
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.UNKNOWN: 1, Outcome.IMMEDIATE: 2}
    assert cell.verdict is Verdict.INCONCLUSIVE
    (pause,) = [r for r in journal_dicts(result.journal) if r["record"] == "pause"]
    looks = len(pressure) or 3  # without a measure: a tenth of the longest
    assert 5e9 * looks * 0.8 <= pause["ns"] < 5e9 * (looks + 4)
    assert host.pressure == []
