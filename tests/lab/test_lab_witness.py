"""The second witness in the lab: the kernel's trace, and the direct test."""

import asyncio
from pathlib import Path

import pytest

from orchestrator.findings.cause import Cause
from orchestrator.findings.witness import TraceReading
from orchestrator.host.tracefs import HEADER
from orchestrator.lab.arms import Arm
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.host.tracer import LabTracer
from orchestrator.lab.kernel.variants import Variant
from orchestrator.lab.plan import lab_plan
from orchestrator.lab.run import run_lab
from orchestrator.verdict.verdict import Verdict
from tests.support.lab_command import arms, lab_run, traces
from tests.support.labs import fetched

pytestmark = pytest.mark.timeout(1200)

TRIALS = 3


def test_the_trace_tells_a_lost_interrupt_from_a_timer_that_was_never_started(
    tmp_path: Path,
) -> None:
    """The guest's testimony is the same: TMICT unchanged, TMCCT 0 and nothing pending."""
    out = tmp_path / "out"
    variants = ["--variant=revert-fix", "--variant=never-start", "--period=200"]
    by = arms(lab_run(out, *variants, trials=TRIALS))
    reverted, never = by["revert-fix", True], by["never-start", True]

    assert reverted["diagnoses"] == {"lost one-shot interrupt": TRIALS}
    assert traces(out, reverted) == [TraceReading.VANISHED] * TRIALS
    assert reverted["verdict"] == "affected"
    assert "a second witness agrees: the kernel's trace shows in 3 of 3 losses" in reverted["why"]

    assert never["diagnoses"] == {"timer not started": TRIALS}
    assert traces(out, never) == [TraceReading.NEVER] * TRIALS
    assert never["verdict"] == "anomalous"
    assert all(control["seen"] for cell in (reverted, never) for control in cell["controls"])


@pytest.mark.long
def test_the_direct_test_tells_where_no_trace_can_be_read(
    emulator: Bochs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable(self: LabTracer) -> str:
        return f"{HEADER}\n"

    monkeypatch.setattr(LabTracer, "read", unreadable)
    faults = [Arm(fetched(), variant) for variant in (Variant.REVERT_FIX, Variant.NEVER_START)]
    plan = lab_plan(2, period_ms=200)
    reverted, never = asyncio.run(run_lab(faults, plan, tmp_path, bochs=emulator)).cells
    for cell in (reverted, never):
        assert cell.counts.causes == {Cause.LOST_INTERRUPT: 2}
    assert reverted.verdict is Verdict.AFFECTED
    assert "a second witness agrees: the direct test" in reverted.why
    assert never.verdict is Verdict.ANOMALOUS
    assert "lost at TMCCT 0 alone, as if the kernel never started them" in never.why
