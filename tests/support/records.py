"""Builds records of a journal for tests of what is folded from them."""

from dataclasses import replace
from typing import Any

from orchestrator.findings.save import Save, VcpuSave
from orchestrator.guest.state import Stage
from orchestrator.journal.records import (
    FORMAT,
    HostRecord,
    PlanRecord,
    Record,
    RunRecord,
    SaveRecord,
)
from orchestrator.journal.trial_record import Role
from orchestrator.plan.cell import Cell
from orchestrator.plan.plan import Plan
from orchestrator.testing import FACTS
from orchestrator.vm.config import Accel

_VCPU = VcpuSave(
    vcpu=0, phase=0.5, progress=1000, progress_per_period=2000.0, ticks=7, arms=8, lvtt=0x40,
    tmict=20_000_000, irr=(), isr=(), interrupt_flag=True, printing=False, stage=Stage.TICKING,
)  # fmt: skip


def heads(plan: Plan, *, seed: int = 1) -> list[Record]:
    """Return the records that the journal of this plan's run begins with."""
    cells: tuple[Cell, ...] = tuple(plan.cells(Accel.KVM))
    return [
        RunRecord(FORMAT, "test", seed, {"tick": "sha"}),
        HostRecord(FACTS),
        PlanRecord(plan.model_dump(mode="json"), cells, Accel.KVM),
        *(HostRecord(cell=cell.id) for cell in cells),
    ]


def save_record(
    cell: Cell, tag: str, phase: float = 0.5, *, role: Role = Role.HOST, **fields: Any
) -> SaveRecord:
    """Return the record of a save; further fields are those of its vCPUs."""
    vcpus = tuple(
        replace(_VCPU, vcpu=vcpu, phase=phase, **fields) for vcpu in range(cell.vcpus)
    )  # fmt: skip
    return SaveRecord(cell.id, Save(tag, phase, vcpus, control=role is Role.CONTROL), role)
