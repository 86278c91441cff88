"""Loads whose end QEMU announces long before it answers. The restored LAPIC runs meanwhile."""

from pathlib import Path

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.snapshot.method import Method
from orchestrator.testing import FakeQemu, FakeVcpu
from orchestrator.verdict.verdict import Verdict
from tests.support.fake_campaigns import PERIOD_MS, campaign, only_ordinary


@pytest.mark.parametrize(
    ("waited", "outcome"), [(0.75, Outcome.FULL_PERIOD), (0.96, Outcome.INDISTINCT)]
)
async def test_a_period_begins_when_the_load_ends(
    tmp_path: Path, waited: float, outcome: Outcome
) -> None:
    """A period that ends as the guest resumes looks like a tick that the load left pending."""
    waited_ns = int(waited * PERIOD_MS * 1_000_000)

    async def answer_late(qemu: FakeQemu) -> None:
        await qemu.clock.sleep(waited_ns)

    def full_period_before_cont(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        vcpu.due_ns = vcpu.ran_ns + qemu.period_ns - waited_ns

    script = only_ordinary(full_period_before_cont)
    script.on_command["query-migrate"] = answer_late
    result, _ = await campaign(tmp_path, script, 5, method=Method.EXEC)
    (cell,) = result.cells
    assert cell.counts.outcomes == {outcome: 5}
    assert cell.verdict is Verdict.CLEAN, cell.why
