"""A campaign of one cell with a real QEMU."""

from pathlib import Path

from orchestrator.campaign.run import run_plan
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.host.local import LocalHost
from orchestrator.plan.load import build_plan
from orchestrator.verdict.run import CellResult
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel


async def campaign(
    host: LocalHost, out: Path, accel: Accel, trials: int, **axes: object
) -> CellResult:
    """Run one cell, with a loss rate to rule out that the trials suffice for."""
    plan = build_plan(
        {
            "axes": {"accel": accel, "period_ms": 10, **axes},
            "limits": {"trials": trials, "rule_out": min(0.99, 3 / trials)},
        },
        "test",
    )
    out.mkdir(exist_ok=True)
    (cell,) = (await run_plan(host, plan, accel, out)).cells
    print(cell.cell.id, dict(cell.counts.outcomes), cell.why)
    return cell


def assert_clean(cell: CellResult, trials: int) -> None:
    assert cell.verdict is Verdict.CLEAN, cell.why
    assert cell.counts.outcomes.total() == trials
    assert cell.counts.outcomes[Outcome.LOST] == 0
    assert len(cell.counts.controls) == 2
    for control in cell.counts.controls:
        assert control.seen, control.sentence
        if cell.cell.mode != TimerMode.PERIODIC:
            assert control.cause is Cause.LOST_INTERRUPT, control.sentence
