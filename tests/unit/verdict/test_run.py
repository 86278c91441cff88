"""The verdicts of runs and cells that did not come to their end."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.bugs.exposure import ExposureState
from orchestrator.findings.cause import Cause, Diagnosis
from orchestrator.findings.lab import LabIdentity
from orchestrator.findings.outcome import Outcome
from orchestrator.journal.fold import fold
from orchestrator.journal.records import (
    CellRecord,
    HostRecord,
    InterruptedRecord,
    LabRecord,
    PlanRecord,
    Record,
    SkipRecord,
)
from orchestrator.journal.trial_record import Role, TrialRecord
from orchestrator.plan.cell import Cell
from orchestrator.plan.load import build_plan
from orchestrator.results.summary import summary
from orchestrator.testing import FACTS
from orchestrator.verdict.run import RunResult, judge_run
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.records import heads, save_record

PLAN = build_plan(
    {"axes": {"accel": "kvm"}, "limits": {"trials": 2, "rule_out": 0.9}, "seed": 1}, "test"
)


def loads(cell: Cell, outcome: Outcome, count: int = 2) -> list[Record]:
    """A control that was seen, and loads that each end in one outcome."""
    lost = (Diagnosis(Cause.LOST_INTERRUPT, "It is lost."),)
    one_shot = cell.mode == "one-shot"
    found: list[Record] = [
        save_record(cell, "control", role=Role.CONTROL),
        TrialRecord(
            cell.id, "control", Outcome.LOST if one_shot else Outcome.MISSED, role=Role.CONTROL,
            number=1, ticks_after_load=0, diagnoses=lost if one_shot else (),
        ),
    ]  # fmt: skip
    for number in range(1, count + 1):
        tag = f"save{number}"
        found.append(save_record(cell, tag))
        if outcome is Outcome.LOST:
            found.append(
                TrialRecord(
                    cell.id, tag, outcome, number=number, ticks_after_load=0, diagnoses=lost
                )
            )
        else:
            found.append(TrialRecord(cell.id, tag, outcome))
    return found


def ended(cell: Cell) -> CellRecord:
    return CellRecord(cell.id, "", "", {}, {}, {}, {}, ())


def judged(*records: Record) -> RunResult:
    return judge_run(fold(records), Path("journal.jsonl"))


def test_a_cell_that_is_skipped_when_it_is_resumed_is_not_clean() -> None:
    """Its loads came to their end, but its last control did not."""
    (cell,) = PLAN.cells(Accel.KVM)
    done = [*heads(PLAN), *loads(cell, Outcome.IMMEDIATE)]
    assert judged(*done, ended(cell)).verdict is Verdict.CLEAN
    skipped = judged(*done, SkipRecord(cell.id, "there is no KVM any more"), ended(cell))
    assert skipped.verdict is Verdict.INCONCLUSIVE
    assert skipped.cells[0].why == (
        "the campaign ended early, after 2 of 2 loads, none of them lost: there is no KVM any "
        "more. `losttick run --resume DIR` tries again"
    )


def test_a_loss_stays_a_loss_when_its_cell_is_skipped_later() -> None:
    (cell,) = PLAN.cells(Accel.KVM)
    lost = [*heads(PLAN), *loads(cell, Outcome.LOST)]
    skipped = judged(*lost, SkipRecord(cell.id, "there is no KVM any more"), ended(cell))
    assert skipped.verdict is Verdict.AFFECTED


@pytest.mark.parametrize("reached", [False, True])
def test_an_interrupted_lab_run_has_no_verdict_from_its_known_arms(*, reached: bool) -> None:
    (cell,) = PLAN.cells(Accel.KVM)
    arms = [
        LabIdentity("6.1.0-48", "6.1.176", "untouched", True, "Bochs"),
        LabIdentity("6.1.0-48", "6.1.176", "revert-fix", True, "Bochs", Verdict.AFFECTED),
    ]
    asked, known = (replace(cell, host=arm.name) for arm in arms)
    run = judged(
        *heads(PLAN)[:2],
        PlanRecord(PLAN.model_dump(mode="json"), (asked, known), Accel.KVM),
        *(LabRecord(each.id, arm) for each, arm in zip((asked, known), arms, strict=True)),
        HostRecord(cell=known.id),
        *loads(known, Outcome.LOST),
        ended(known),
        *([HostRecord(cell=asked.id), *loads(asked, Outcome.IMMEDIATE)] if reached else []),
        InterruptedRecord("CancelledError"),
    )
    assert [each.verdict for each in run.cells] == [Verdict.INCONCLUSIVE, Verdict.AFFECTED]
    assert run.verdict is Verdict.INCONCLUSIVE
    assert run.interrupted == "a signal stopped it"
    assert "--resume" not in run.cells[0].why


def lab_run(*cells: tuple[str, str, bool, Outcome]) -> RunResult:
    """Return a finished lab run: of each cell the timer, the variant, APICv, and its loads."""
    (plain,) = PLAN.cells(Accel.KVM)
    arms, records = [], []
    for mode, variant, apicv, outcome in cells:
        known = None
        if variant != "untouched":
            known = Verdict.AFFECTED if apicv else Verdict.CLEAN
        lab = LabIdentity("6.1.0-48", "6.1.176", variant, apicv, "Bochs", known)
        cell = replace(plain, mode=mode, host=lab.name)
        arms.append((cell, lab))
        modules = {"kvm_intel": {"enable_apicv": "NY"[apicv]}}
        facts = replace(FACTS, kvm_modules=modules)
        records += [HostRecord(facts, cell=cell.id), *loads(cell, outcome, 4), ended(cell)]
    return judged(
        *heads(PLAN)[:2],
        PlanRecord(PLAN.model_dump(mode="json"), tuple(cell for cell, _ in arms), Accel.KVM),
        *(LabRecord(cell.id, lab) for cell, lab in arms),
        *records,
    )


GOOD, LOST = Outcome.IMMEDIATE, Outcome.LOST


@pytest.mark.parametrize(
    ("one_shot", "periodic", "verdict"),
    [
        ((GOOD, LOST), (GOOD, GOOD), Verdict.CLEAN),
        ((LOST, LOST), (GOOD, GOOD), Verdict.AFFECTED),
        # With a periodic timer nothing is expected of a known arm, whatever it shows.
        ((GOOD, LOST), (GOOD, Outcome.MISSED), Verdict.CLEAN),
        ((GOOD, LOST), (Outcome.EXTRA, GOOD), Verdict.ANOMALOUS),
        ((GOOD, LOST), (Outcome.MISSED, GOOD), Verdict.INCONCLUSIVE),  # it has no shams
        ((GOOD, GOOD), (GOOD, GOOD), Verdict.INCONCLUSIVE),
        (None, (GOOD, Outcome.MISSED), Verdict.CLEAN),
    ],
)
def test_a_lab_run_has_the_verdict_of_its_untouched_cells_with_every_timer(
    one_shot: tuple[Outcome, Outcome] | None, periodic: tuple[Outcome, Outcome], verdict: Verdict
) -> None:
    cells = [
        (mode, variant, True, outcome)
        for mode, outcomes in (("one-shot", one_shot), ("periodic", periodic))
        for variant, outcome in zip(("untouched", "revert-fix"), outcomes or (), strict=False)
    ]
    for order in (cells, cells[::-1]):
        run = lab_run(*order)
        assert run.verdict is verdict
        for each in summary(run)["cells"]:
            known = each["lab"]["variant"] == "revert-fix" and "periodic" not in each["id"]
            assert each["lab"]["expected"] == ("affected" if known else None)


def test_the_exposure_of_a_lab_run_is_that_of_its_untouched_kernel() -> None:
    """A known arm that surprised, or that has the run's verdict by itself, tells nothing of it."""
    without = ("one-shot", "revert-fix", False, GOOD)
    surprised = lab_run(without, ("one-shot", "untouched", True, GOOD),
                        ("one-shot", "revert-fix", True, GOOD))  # fmt: skip
    assert surprised.verdict is Verdict.INCONCLUSIVE
    proven = lab_run(without, ("one-shot", "untouched", True, GOOD),
                     ("one-shot", "revert-fix", True, LOST))  # fmt: skip
    assert proven.verdict is Verdict.CLEAN
    for run in (surprised, proven):
        assert [each.exposure.state for each in run.cells] == [
            ExposureState.NOT_EXPOSED, ExposureState.EXPOSED, ExposureState.EXPOSED,
        ]  # fmt: skip
        assert summary(run)["exposure"]["state"] == ExposureState.EXPOSED
    known_only = lab_run(without)
    assert summary(known_only)["exposure"]["state"] == ExposureState.NOT_EXPOSED
