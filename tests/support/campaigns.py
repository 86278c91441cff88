"""A campaign of one cell with a real QEMU."""

from pathlib import Path

from orchestrator.campaign.run import run_plan
from orchestrator.findings.cause import INTERRUPT_LOST
from orchestrator.findings.outcome import Outcome
from orchestrator.host.local import LocalHost
from orchestrator.journal.file import read_journal
from orchestrator.journal.trial_record import TrialRecord
from orchestrator.plan.load import build_plan
from orchestrator.timers.registry import TIMERS
from orchestrator.verdict.run import CellResult
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel


async def campaign(
    host: LocalHost, out: Path, accel: Accel, trials: int, *, controls: int = 2, **axes: object
) -> CellResult:
    """Run one cell, with a loss rate to rule out that the trials suffice for."""
    plan = build_plan(
        {
            "axes": {"accel": accel, "period_ms": 10, **axes},
            "limits": {"trials": trials, "rule_out": min(0.99, 3 / trials)},
            "controls": controls,
        },
        "test",
    )
    out.mkdir(exist_ok=True)
    (cell,) = (await run_plan(host, plan, accel, out)).cells
    print(cell.cell.id, dict(cell.counts.outcomes), cell.why)
    for record in read_journal(out / "journal.jsonl"):
        if isinstance(record, TrialRecord) and not record.outcome.ticked:
            print(record.role, record.outcome, record.why, *(d.sentence for d in record.diagnoses))
    return cell


def assert_clean(cell: CellResult, trials: int, controls: int = 2) -> None:
    assert cell.verdict is Verdict.CLEAN, cell.why
    assert cell.counts.outcomes.total() >= trials  # a busy host gets more, in pairs with shams
    assert cell.counts.outcomes[Outcome.LOST] == 0
    assert len(cell.counts.controls) == controls
    for control in cell.counts.controls:
        assert control.seen, control.sentence
        if not TIMERS[cell.cell.mode].reloads:
            assert control.cause in INTERRUPT_LOST, control.sentence
