"""The plain words of a result: for the verdict, each outcome and each cause."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.findings.cause import Cause, Diagnosis
from orchestrator.findings.lab import LabIdentity
from orchestrator.findings.outcome import Outcome
from orchestrator.findings.witness import Says, Statement, Witness
from orchestrator.journal.fold import fold
from orchestrator.journal.records import CellRecord, Record
from orchestrator.journal.trial_record import TrialRecord
from orchestrator.plan.load import build_plan
from orchestrator.results.columns import first_tick, went_wrong
from orchestrator.results.meaning import cell_meaning, explained, meaning
from orchestrator.results.summary import summary
from orchestrator.results.words import CAUSES, OUTCOMES
from orchestrator.stats.pairs import PairCounts
from orchestrator.verdict.run import CellResult, RunResult, judge_run
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.exposures import NOT_EXPOSED
from tests.support.places import ROOT
from tests.support.records import heads, save_record

PLAN = build_plan({"axes": {"accel": "kvm"}, "limits": {"trials": 8, "rule_out": 0.5}}, "test")
(CELL,) = PLAN.cells(Accel.KVM)


AGREES = Statement(Witness.TRACE, Says.AGREES, "the kernel's trace shows it")


def judged(*outcomes: Outcome, cause: Cause = Cause.PENDING, ticks: int = 0) -> RunResult:
    records: list[Record] = [save_record(CELL, "save1")]
    for number, outcome in enumerate(outcomes, 1):
        silent = outcome in (Outcome.LOST, Outcome.CRASHED)
        diagnoses = (Diagnosis(cause, "It is silent."),) if silent else ()
        first = None if silent and not ticks else (1.0, 1.0, 20.0)
        records.append(
            TrialRecord(
                CELL.id, "save1", outcome, first, number=number, diagnoses=diagnoses,
                ticks_after_load=ticks if silent else 2, attempt=3,
            )
        )  # fmt: skip
    records.append(CellRecord(CELL.id, "", "", {}, {}, {}, {}, ()))
    return judge_run(fold([*heads(PLAN), *records]), Path("journal.jsonl"))


def cell(*outcomes: Outcome, ticks: int = 0) -> CellResult:
    return judged(*outcomes, ticks=ticks).cells[0]


def test_a_known_arm_that_surprises_is_named_as_the_reason() -> None:
    ran = judged(*[Outcome.IMMEDIATE] * 8)
    arms = []
    for variant, expected in (("untouched", None), ("revert-fix", "affected")):
        arm = replace(cell(*[Outcome.IMMEDIATE] * 8), verdict=Verdict.CLEAN)
        arm.counts.lab = LabIdentity("6.1.0-48", "6.1.176", variant, True, "Bochs", expected)
        arms.append(arm)
    said = meaning(replace(ran, verdict=Verdict.INCONCLUSIVE, cells=arms))
    assert f"({CELL.id} is clean, not affected)" in said
    assert "shows nothing about the other kernels" in said


def test_every_outcome_and_every_cause_has_words_and_they_stand_in_the_docs() -> None:
    assert set(OUTCOMES) == set(Outcome)
    assert set(CAUSES) == set(Cause)
    page = (ROOT / "docs" / "results.md").read_text()
    for name, words in {**OUTCOMES, **CAUSES}.items():
        assert f"| {name} | {words} |" in page.replace("`", "")


GOOD, EXTRA, LOST = Outcome.IMMEDIATE, Outcome.EXTRA, Outcome.LOST


def test_what_went_wrong_is_explained_and_what_went_well_is_not() -> None:
    run = judged(GOOD, EXTRA, LOST)
    words = {
        "extra": OUTCOMES[Outcome.EXTRA],
        "lost": "ticks stopped, and did not come back by themselves",
        "pending but undelivered": CAUSES[Cause.PENDING],
    }
    assert explained(run.cells[0]) == words
    shown = summary(run)
    assert shown["cells"][0]["in_words"] == words
    assert shown["meaning"] == shown["cells"][0]["meaning"] == meaning(run)
    assert explained(cell(GOOD)) == {}


@pytest.mark.parametrize(
    ("outcomes", "has", "has_not"),
    [
        ((GOOD, LOST), "was read at each hang.", "lines of the ticks"),
        ((GOOD, EXTRA), "folders have the lines of the ticks that went wrong", "each hang"),
        ((EXTRA, LOST), "each hang and the lines of the ticks that went wrong", "hang."),
    ],
)
def test_the_evidence_is_said_to_have_what_it_has(
    outcomes: tuple[Outcome, ...], has: str, has_not: str
) -> None:
    run = judged(*outcomes)
    assert run.verdict is Verdict.ANOMALOUS
    assert meaning(run).count("not the APICv bug") == 1
    assert has in meaning(run)
    assert has_not not in meaning(run)


def test_an_affected_verdict_names_the_bug_and_claims_what_a_witness_allows() -> None:
    run = judged(LOST, cause=Cause.LOST_INTERRUPT)
    (result,) = run.cells
    assert run.verdict is Verdict.AFFECTED
    assert "1 of 1 loads lost the timer's interrupt, as the APICv bug does" in result.why
    assert "This has the testimony of the APICv bug: guests on this host freeze" in meaning(run)
    agreed = replace(run, cells=[replace(result, witnesses=(AGREES,))])
    assert "This is the APICv bug: guests on this host freeze" in meaning(agreed)
    (bug,) = summary(run)["cells"][0]["known_bugs"]
    assert (bug["name"], bug["trials"]) == ("APICv bug", 1)


def test_losses_too_rare_to_be_sure_may_be_the_bug() -> None:
    run = judged(LOST, cause=Cause.LOST_INTERRUPT)
    (result,) = run.cells
    rare = replace(result, verdict=Verdict.ANOMALOUS)
    assert "This may be the APICv bug, seen too rarely to be sure." in cell_meaning(rare)
    against = Statement(Witness.DIRECT, Says.CONTRADICTS, "the direct test loses none")
    for other in (
        replace(rare, exposure=NOT_EXPOSED), replace(rare, witnesses=(against,)),
    ):  # fmt: skip
        assert "This is not the APICv bug, but ticks" in cell_meaning(other)


@pytest.mark.parametrize("first", [Outcome.FULL_PERIOD, Outcome.IMMEDIATE])
def test_a_clean_run_of_an_old_kernel_leaves_the_narrow_race_open(first: Outcome) -> None:
    run = judged(*[first] * 8)
    (result,) = run.cells
    clean = replace(run, verdict=Verdict.CLEAN, cells=[replace(result, verdict=Verdict.CLEAN)])
    said = "it may have the narrow race, which loses a timer that is restored with a few nano"
    assert (said in meaning(clean)) is (first is Outcome.FULL_PERIOD)
    hidden = replace(result, verdict=Verdict.CLEAN, exposure=NOT_EXPOSED)
    assert "narrow race" not in meaning(replace(clean, cells=[hidden]))


@pytest.mark.parametrize(
    ("outcomes", "ticks", "words"),
    [
        ((GOOD, GOOD, Outcome.MISSED, LOST), 0, "immediate"),
        ((Outcome.MISSED, GOOD, Outcome.MISSED), 0, "missed"),
        ((Outcome.MISSED, GOOD), 0, "immediate"),
        ((Outcome.MISSED, Outcome.MISSED, LOST), 0, "missed"),
        ((Outcome.EARLY,), 0, "early"),
        ((LOST, LOST), 0, "never"),
        ((LOST,), 1, "came"),
        ((Outcome.UNKNOWN,), 0, "-"),
        ((), 0, "-"),
    ],
)
def test_the_first_tick_never_came_only_where_none_did(
    outcomes: tuple[Outcome, ...], ticks: int, words: str
) -> None:
    assert first_tick(cell(*outcomes, ticks=ticks)) == words


def test_the_table_counts_what_went_wrong_beside_the_losses() -> None:
    assert went_wrong(cell(GOOD, LOST, EXTRA, Outcome.CLOCK, EXTRA)) == ", 2 extra, 1 clock"
    assert went_wrong(cell(GOOD, LOST, Outcome.UNKNOWN)) == ""


def test_late_ticks_that_are_the_host_s_own_are_not_said_to_have_gone_wrong() -> None:
    (result,) = judged(GOOD, Outcome.MISSED).cells
    assert went_wrong(result) == ", 1 missed"
    assert list(explained(result)) == ["missed"]
    result.counts.pairing.counts = PairCounts(10, treated_only=0, untreated_only=1)
    assert went_wrong(result) == ""
    assert explained(result) == {}
