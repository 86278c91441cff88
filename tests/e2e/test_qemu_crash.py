"""A real QEMU that aborts because KVM refuses the restored LAPIC: its own words are kept."""

from pathlib import Path

import pytest

from orchestrator.campaign.run import run_plan
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.host.local import open_host
from orchestrator.plan.load import build_plan
from orchestrator.snapshot.method import Method
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.journal import journal_dicts
from tests.support.shim import shim_environment


@pytest.mark.parametrize(
    ("method", "resume"),
    [
        (Method.HMP, "cont"),
        pytest.param(Method.HMP, "auto", marks=pytest.mark.thorough),
        (Method.LOADVM, "auto"),
    ],
)
async def test_its_last_words(
    tmp_path: Path, kvm: Accel, shim: Path, method: Method, resume: str
) -> None:
    plan = build_plan(
        {
            "axes": {"accel": kvm, "method": method, "resume": resume, "period_ms": 20},
            "limits": {"trials": 1, "rule_out": 0.9},
            "controls": 0,
            "seed": 1,
        },
        "test",
    )
    out = tmp_path / "out"
    out.mkdir()
    environment = shim_environment(shim, tmp_path / "shim.log", "refuse", seed=1)
    async with open_host(environment=environment) as host:
        (cell,) = (await run_plan(host, plan, kvm, out)).cells
    assert cell.counts.outcomes == {Outcome.CRASHED: 1}, cell.why
    assert cell.counts.causes == {Cause.QEMU_CRASHED: 1}
    assert cell.verdict is Verdict.ANOMALOUS
    found = [r["diagnosis"] for r in journal_dicts(out / "journal.jsonl") if r.get("diagnosis")]
    for each in found:
        assert "QEMU crashed by SIGABRT. Its last words: KVM_SET_LAPIC failed: " in each["sentence"]
