"""Cells whose hosts a lab boots: what the journal says of each lab, and when."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from orchestrator.campaign.run import run_cells
from orchestrator.campaign.schedule import Assignment, OpenHost
from orchestrator.errors import InfraError
from orchestrator.findings.lab import LabIdentity
from orchestrator.plan.cell import Cell
from orchestrator.plan.load import build_plan
from orchestrator.results.result import read_result
from orchestrator.testing import FACTS, FakeHost, Script, lost
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.journal import journal_dicts

PLAN = build_plan(
    {"axes": {"period_ms": 100}, "limits": {"trials": 2, "rule_out": 0.9}, "controls": 1}, "test"
)


@dataclass(frozen=True)
class KnownLab:
    arm: LabIdentity

    def identity(self) -> LabIdentity:
        return self.arm


def assignment(variant: str, expected: Verdict | None, open_host: OpenHost) -> Assignment:
    (cell,) = PLAN.cells(Accel.KVM)
    lab = LabIdentity("6.1.0-48", "6.1.176", variant, True, "Bochs", expected)
    return Assignment(replace(cell, host=lab.name), open_host, lab=KnownLab(lab))


@contextlib.asynccontextmanager
async def losing() -> AsyncIterator[FakeHost]:
    yield FakeHost(Script(lost))


@pytest.mark.parametrize("cut", [False, True])
async def test_a_known_arm_is_never_the_answer(tmp_path: Path, *, cut: bool) -> None:
    """The untouched kernel is the question, even if its lab fails or is not reached."""

    class Cut:
        """Interrupts the run once the known arm has its verdict."""

        def __getattr__(self, name: str) -> object:
            return lambda *args: None

        def cell_ends(self, cell: Cell, verdict: Verdict, why: str) -> None:
            if cut and verdict is Verdict.AFFECTED:
                run.cancel()

    @contextlib.asynccontextmanager
    async def question() -> AsyncIterator[FakeHost]:
        raise InfraError("its lab did not boot")
        yield

    assignments = [
        assignment("revert-fix", Verdict.AFFECTED, losing),
        assignment("untouched", None, question),
    ]
    assignments[0] = replace(assignments[0], long=True)  # so that it comes first
    run = asyncio.create_task(
        run_cells(assignments, FACTS, PLAN, tmp_path, Cut())  # type: ignore[arg-type]  # a fake
    )
    await asyncio.gather(run, return_exceptions=True)
    result = read_result(tmp_path)
    assert [cell.verdict for cell in result.cells] == [Verdict.AFFECTED, Verdict.INCONCLUSIVE]
    assert result.verdict is Verdict.INCONCLUSIVE
    assert (result.interrupted is not None) is cut
    kinds = [record["record"] for record in journal_dicts(tmp_path / "journal.jsonl")]
    assert kinds[:5] == ["run", "host", "plan", "lab", "lab"]
