"""A host that ends itself, as a lab can: its end is the reason, not the QEMUs that fail there."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.campaign.run import run_plan
from orchestrator.errors import InfraError
from orchestrator.host.errors import QemuStartError
from orchestrator.plan.load import build_plan
from orchestrator.process.exit import ProcessExit
from orchestrator.testing import FakeHost, FakeQemu, Script, immediate
from orchestrator.verdict.run import RunResult
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.journal import journal_dicts

PANIC = "running the lab: its kernel panicked"


class Dying(FakeHost):
    """A host that ends in the life of its Nth QEMU, or of the Nth that is like `role`."""

    def __init__(self, dies: int, *, control: bool = False) -> None:
        super().__init__(Script(immediate))
        self.left, self.control, self.refused = dies, control, 0

    async def start_qemu(self, args: Any, files: Any, *, consoles: int = 1) -> FakeQemu:
        if self.trouble:
            self.refused += 1
            raise QemuStartError("it is closed", end=ProcessExit(1, "it is closed"), argv=args)
        qemu = await super().start_qemu(args, files, consoles=consoles)
        if bool(qemu.config.control_tick) is self.control:
            self.left -= 1
        if not self.left:
            self.trouble = InfraError(PANIC)
            qemu.monitor.close()
        return qemu


async def run(host: Dying, out: Path, period_ms: object) -> RunResult:
    plan = build_plan(
        {
            "seed": 4, "axes": {"accel": "kvm", "period_ms": period_ms, "cycle": "fresh"},
            "limits": {"trials": 6, "rule_out": 0.5},
        },
        "test",
    )  # fmt: skip
    return await run_plan(host, plan, Accel.KVM, out)


@pytest.mark.parametrize(
    ("period_ms", "dies", "control"),
    [("auto", 1, False), ("auto", 2, False), (100, 1, True), (100, 4, False), (100, 2, True)],
    ids=["tryout", "period", "first-control", "trials", "last-control"],
)
async def test_the_end_of_a_host_is_named_and_nothing_is_tried_there_again(
    tmp_path: Path, period_ms: object, dies: int, *, control: bool
) -> None:
    host = Dying(dies, control=control)
    (cell,) = (await run(host, tmp_path, period_ms)).cells
    assert cell.verdict is Verdict.INCONCLUSIVE
    assert cell.counts.failure == PANIC
    # The checks before a cell try a machine three times, and the plainest machine once.
    assert host.refused <= 3
    assert not [r for r in journal_dicts(tmp_path / "journal.jsonl") if r["record"] == "period"]


async def test_a_lasting_host_tries_again(tmp_path: Path) -> None:
    host = Dying(-1)
    (cell,) = (await run(host, tmp_path, 100)).cells
    assert cell.verdict is Verdict.CLEAN
