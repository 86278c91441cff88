"""Output folders of runs with loads of the test's choice."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.findings.cause import Cause, Diagnosis
from orchestrator.findings.outcome import Outcome
from orchestrator.host.facts import HostFacts
from orchestrator.journal.records import (
    FORMAT,
    CellRecord,
    HostRecord,
    PlanRecord,
    Record,
    RunRecord,
    SkipRecord,
    VerdictRecord,
)
from orchestrator.journal.trial_record import First, Role, TrialRecord
from orchestrator.plan.cell import Cell
from orchestrator.plan.load import build_plan
from orchestrator.plan.plan import Plan
from orchestrator.testing import FACTS
from orchestrator.vm.config import Accel
from tests.support.command_here import written
from tests.support.records import save_record

#: A load: its outcome, and when its first tick came.
Load = tuple[Outcome, First | None]

#: The time of the first tick of each class, in periods.
PERIODS = {Outcome.IMMEDIATE: 0.05, Outcome.FULL_PERIOD: 1.05, Outcome.REMAINING: 0.55}

#: Loads that tick, and a lost one.
TICK: Load = (Outcome.IMMEDIATE, (0.05, 0.05, 1.0))
FULL: Load = (Outcome.FULL_PERIOD, (1.05, 1.05, 21.0))
LOST: Load = (Outcome.LOST, None)
UNKNOWN: Load = (Outcome.UNKNOWN, None)


def make_run(
    folder: Path,
    loads: Iterable[Load] | Mapping[str, Iterable[Load]],
    *,
    axes: Mapping[str, Any] | None = None,
    facts: HostFacts = FACTS,
    skips: Mapping[str, str] | None = None,
    controls: int = 2,
    unseen: int = 0,
    losttick: str = "1",
    began_at: str = "2026-11-26T01:02:03.004Z",
    ended_at: str = "2026-11-26T02:02:03.004Z",
    ends: bool = True,
    seed: int = 1,
    machine: str = "machine",
    **limits: Any,
) -> Path:
    """Write the journal of a run into a new folder; return the folder.

    Args:
        folder: to be made.
        loads: what happened, in every cell or by the cell's id.
        axes: of the plan.
        facts: of the host.
        skips: the reason of each cell that was skipped, by its id.
        controls: injected losses in each cell.
        unseen: how many of them were not seen.
        losttick: the version that ran.
        began_at: when the run began.
        ended_at: when it ended.
        ends: whether it has come to its end.
        seed: of the run.
        machine: the digest of the host's machine.
        limits: of the plan.
    """
    plan = build_plan(
        {"axes": {"accel": "kvm"} | dict(axes or {}), "limits": {"trials": 299} | limits,
         "controls": controls}, "made",
    )  # fmt: skip
    cells = plan.cells(Accel.KVM)
    by_cell = loads if isinstance(loads, Mapping) else dict.fromkeys((c.id for c in cells), loads)
    records: list[Record] = [
        RunRecord(FORMAT, losttick, seed, {"tick": "5" * 64}, at=began_at, boot_id="boot",
                  machine=machine),
        HostRecord(facts),
        PlanRecord(plan.model_dump(mode="json"), tuple(cells), Accel.KVM),
    ]  # fmt: skip
    for cell in cells:
        if why := (skips or {}).get(cell.id):
            records.append(SkipRecord(cell.id, why))
        else:
            records += _cell(cell, plan, by_cell[cell.id], began_at, controls, unseen)
        if ends:
            records.append(CellRecord(cell.id, "", "", {}, {}, {}, {}, (), at=ended_at))
    if ends:
        records.append(VerdictRecord("clean", {}, at=ended_at))
    return written(folder, records)


def _cell(
    cell: Cell, plan: Plan, loads: Iterable[Load], began_at: str, controls: int, unseen: int
) -> Iterator[Record]:
    yield HostRecord(cell=cell.id, at=began_at)
    for number in range(1, controls + 1):
        seen = number > unseen
        yield _trial(cell, "control", Outcome.LOST if seen else Outcome.IMMEDIATE, None,
                     role=Role.CONTROL, number=number)  # fmt: skip
    room = number = 0
    for outcome, first in loads:
        if not room:
            number, room = number + 1, cell.loads_per_save
            yield save_record(cell, f"save{number}")
        room = 0 if outcome is not Outcome.UNKNOWN and not outcome.ticked else room - 1
        attempts = (1, 2, 3) if outcome is Outcome.UNKNOWN else (1,)
        for attempt in attempts:
            yield _trial(cell, f"save{number}", outcome, first, attempt=attempt)


def _trial(
    cell: Cell, save: str, outcome: Outcome, first: First | None, *, role: Role = Role.HOST,
    number: int | None = None, attempt: int = 1,
) -> TrialRecord:  # fmt: skip
    lost = outcome is Outcome.LOST
    cause = Cause.LOST_INTERRUPT
    return TrialRecord(
        cell.id, save, outcome, role=role, number=number, attempt=attempt, first_tick=first,
        ticks_after_load=0, diagnoses=(Diagnosis(cause, "made"),) if lost else (),
    )  # fmt: skip


def losing(rate: float, loads: int = 299, seed: int = 1, tick: Load = TICK) -> list[Load]:
    """Return loads of which each is lost with a probability."""
    drawn = random.Random(seed)
    return [LOST if drawn.random() < rate else tick for _ in range(loads)]


def other(**facts: Any) -> HostFacts:
    """Return the facts of another host."""
    return replace(FACTS, **facts)


def exactly(lost: int, loads: int, tick: Load = TICK) -> Sequence[Load]:
    """Return loads of which the first so many are lost."""
    return [LOST] * lost + [tick] * (loads - lost)
