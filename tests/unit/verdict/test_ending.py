"""A campaign that ended early, a requirement that is not met, and saves that were expired."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.bugs.exposure import Exposure, ExposureState, Reason
from orchestrator.bugs.hyperv import enlightenments
from orchestrator.bugs.likeness import Likeness
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.journal.fold import fold
from orchestrator.journal.records import (
    CellRecord,
    FailureRecord,
    HostRecord,
    InterruptedRecord,
    OutOfTimeRecord,
    PlanRecord,
    Record,
)
from orchestrator.journal.trial_record import Role, TrialRecord
from orchestrator.plan.load import build_plan
from orchestrator.stats.pairs import PairCounts
from orchestrator.stats.rate import Losses, loss_rate
from orchestrator.testing import FACTS
from orchestrator.verdict.case import Case, Tally
from orchestrator.verdict.cell import decide
from orchestrator.verdict.ending import Ending
from orchestrator.verdict.expired import posts_timers
from orchestrator.verdict.run import CellResult, judge_run
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.exposures import EXPOSED, NOT_EXPOSED
from tests.support.records import heads, save_record

NO_SAVE = "taking a save at phase 0.45: none of 80 attempts was eligible (off phase)."

EARLY = Ending(119, 0, 299, failure=NO_SAVE)


def case(outcomes: dict[Outcome, int], bug_losses: int = 0, ending: Ending = EARLY) -> Case:
    causes = Counter({Cause.LOST_INTERRUPT: bug_losses})
    trials = sum(outcomes.values())
    tally = Tally(Counter(outcomes), causes, bug_losses, trials, 0, 1, 1)
    lost = outcomes.get(Outcome.LOST, 0)
    return Case(
        tally, loss_rate(Losses(trials, lost), 0.95), 0.01, EXPOSED,
        ending=replace(ending, lost=lost),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("outcomes", "bug_losses", "verdict"),
    [
        ({Outcome.IMMEDIATE: 119}, 0, Verdict.INCONCLUSIVE),
        ({Outcome.IMMEDIATE: 118, Outcome.LOST: 1}, 1, Verdict.AFFECTED),
        ({Outcome.IMMEDIATE: 118, Outcome.EXTRA: 1}, 0, Verdict.ANOMALOUS),
        ({Outcome.IMMEDIATE: 100, Outcome.UNKNOWN: 19}, 0, Verdict.INCONCLUSIVE),
    ],
)
def test_every_verdict_of_a_campaign_that_ended_early_says_so(
    outcomes: dict[Outcome, int], bug_losses: int, verdict: Verdict
) -> None:
    found, text = decide(case(outcomes, bug_losses))
    assert found is verdict
    lost = outcomes.get(Outcome.LOST, 0) or "none"
    said = f"he campaign ended early, after 119 of 299 loads, {lost} of them lost: taking a save"
    assert text.count(said) == 1
    assert "(off phase)" in text
    assert not text.endswith(".")


def test_the_requirement_is_said_beside_the_early_end() -> None:
    missing = replace(
        case({Outcome.IMMEDIATE: 119}), exposure=NOT_EXPOSED, apicv_required=True
    )  # fmt: skip
    found, text = decide(missing)
    assert found is Verdict.INCONCLUSIVE
    assert text.startswith("APICv is required, but not in use: no APICv. The campaign ended early")


@pytest.mark.parametrize("outcome", [Outcome.LOST, Outcome.CRASHED, Outcome.CLOCK])
def test_a_requirement_hides_no_fault(outcome: Outcome) -> None:
    losses = 119 if outcome is Outcome.LOST else 0
    missing = replace(case({outcome: 119}, losses), exposure=NOT_EXPOSED, apicv_required=True)
    found, text = decide(missing)
    assert found is Verdict.ANOMALOUS
    assert text.startswith(f"119 {outcome} in 119 loads")
    assert text.count("APICv is required, but not in use: no APICv") == 1
    if outcome is not Outcome.LOST:
        return
    assert decide(replace(missing, exposure=EXPOSED))[0] is Verdict.AFFECTED
    assert "required" not in decide(replace(missing, apicv_required=False))[1]
    by_state = Exposure(ExposureState.NOT_EXPOSED, "with state=pending", Reason.SAVED_STATE)
    assert decide(replace(missing, exposure=by_state))[0] is Verdict.ANOMALOUS  # APICv is in use


def test_a_time_limit_does_not_keep_a_verdict_back() -> None:
    ending = Ending(300, 0, 400, seconds=60)
    found, text = decide(case({Outcome.IMMEDIATE: 300}, ending=ending))
    assert found is Verdict.CLEAN
    assert text.endswith(
        ". The time limit of 60 s was reached after 300 of 400 loads, none of them lost"
    )
    assert "limit" not in decide(case({Outcome.IMMEDIATE: 300}, ending=Ending()))[1]


@pytest.mark.parametrize(
    ("expired", "saves", "words"),
    [
        (12, 12, ". All 12 saves were `expired`: the timer ran out between the stop and the save"),
        (1, 12, ". 1 of 12 saves was `expired`: the timer ran out between the stop and the save"),
        (0, 12, None),
    ],
)
def test_the_verdict_says_how_many_saves_were_expired(
    expired: int, saves: int, words: str | None
) -> None:
    ordinary = case({Outcome.IMMEDIATE: 299}, ending=Ending())
    found, text = decide(replace(ordinary, expired_saves=expired, saves=saves))
    assert found is Verdict.CLEAN
    assert text.endswith(words) if words else "expired" not in text


def test_classes_of_first_ticks_that_differ_between_vcpus_are_said() -> None:
    ordinary = case({Outcome.IMMEDIATE: 299}, ending=Ending())
    others = Counter({Outcome.FULL_PERIOD: 299})
    text = decide(replace(ordinary, tally=replace(ordinary.tally, vcpus=2, on_other_vcpus=others)))[
        1
    ]
    assert (
        "after 299 loads and after a whole period after 299 (on all vCPUs): a kernel does" in text
    )


@pytest.mark.parametrize(("later", "said"), [(14, False), (15, True)])
def test_a_host_that_makes_ticks_late_makes_few_first_ticks_a_period_late(
    later: int, *, said: bool
) -> None:
    """As many as it does without a load."""
    counts = {Outcome.IMMEDIATE: 285, Outcome.FULL_PERIOD: later}
    busy = case(counts, ending=Ending())
    busy = replace(busy, tally=replace(busy.tally, pairs=PairCounts(100, 6, 14)))
    words = f"and after a whole period after {later}: a kernel does the one or the other"
    assert (words in decide(busy)[1]) is said


@pytest.mark.parametrize(
    ("trials", "indistinct", "said"),
    [(299, 299, True), (299, 150, True), (299, 149, False), (99, 99, False)],
)
def test_first_ticks_that_fit_several_classes_are_said(
    trials: int, indistinct: int, *, said: bool
) -> None:
    counts = {Outcome.INDISTINCT: indistinct, Outcome.IMMEDIATE: trials - indistinct}
    words = f"The first ticks after {indistinct} of {trials} loads fit several classes"
    assert (words in decide(case(counts, ending=Ending()))[1]) is said


def test_what_came_before_an_early_end_is_said() -> None:
    given_up = case({Outcome.IMMEDIATE: 60, Outcome.FULL_PERIOD: 56, Outcome.LATE: 3})
    found, text = decide(replace(given_up, expired_saves=4, saves=4))
    assert found is Verdict.INCONCLUSIVE
    assert "The first tick came at once after 60 loads and after a whole period after 56" in text
    assert "3 of 119 loads had a late tick. No sham" in text
    assert "All 4 saves were `expired`" in text
    some_pairs = replace(given_up.tally, pairs=PairCounts(3, 1, 0))
    text = decide(replace(given_up, tally=some_pairs))[1]
    assert "3 of 119 loads had a late tick, which counts as `indistinct`" in text
    assert "So few pairs can't show that loads make ticks late" in text


@pytest.mark.parametrize(
    ("parameter", "accel", "said"),
    [("1", Accel.KVM, True), ("Y", Accel.KVM, True), ("0", Accel.KVM, False),
     ("1", Accel.TCG, False)],
)  # fmt: skip
def test_pi_inject_timer_is_said_to_make_expired_timers_pending(
    parameter: str, accel: Accel, *, said: bool
) -> None:
    facts = replace(FACTS, kvm_modules={"kvm": {"pi_inject_timer": parameter}})
    records = [*heads(PLAN)[:1], HostRecord(facts), *heads(PLAN)[2:], *ticks(8)]
    (state,) = fold(records).cells.values()
    posts = posts_timers(facts, replace(state.cell, accel=accel))
    assert posts is said
    if accel is Accel.KVM:
        (result,) = judge_run(fold(records), Path("journal.jsonl")).cells
        assert ("pi_inject_timer=1: a timer that runs out" in result.why) is said


def test_known_bugs_are_no_hints_where_late_ticks_are_the_host_s_own() -> None:
    """A symptom that is not anomalous looks like no bug."""
    from orchestrator.bugs.catalogue import RTC_BEFORE_LAPIC

    quiet = case({Outcome.IMMEDIATE: 299}, ending=Ending())
    like = (Likeness(RTC_BEFORE_LAPIC, 1, EXPOSED),)
    assert "look like" not in decide(replace(quiet, likenesses=like))[1]


# --- from a journal ---

PLAN = build_plan(
    {"axes": {"accel": "kvm"}, "limits": {"trials": 8, "rule_out": 0.5, "seconds": 60}, "seed": 1},
    "test",
)
(CELL,) = PLAN.cells(Accel.KVM)


def judged(*records: Record) -> CellResult:
    control = TrialRecord(CELL.id, "control", Outcome.LOST, role=Role.CONTROL, number=1)
    begins = [*heads(PLAN), save_record(CELL, "control", role=Role.CONTROL), control]
    (result,) = judge_run(fold([*begins, *records]), Path("journal.jsonl")).cells
    return result


def ticks(count: int, *, expired: bool = False) -> list[Record]:
    save = save_record(CELL, "save1", expired=expired)
    return [save, *(TrialRecord(CELL.id, "save1", Outcome.IMMEDIATE) for _ in range(count))]


ENDED = CellRecord(CELL.id, "", "", {}, {}, {}, {}, ())


def test_what_a_journal_says_of_an_end() -> None:
    failure = FailureRecord(CELL.id, NO_SAVE, ends_cell=True)
    assert judged(*ticks(3), failure, ENDED).why == (
        f"the campaign ended early, after 3 of 8 loads, none of them lost: {NO_SAVE[:-1]}. "
        "`losttick run --resume DIR` tries again"
    )
    assert judged(*ticks(3), InterruptedRecord("CancelledError")).why == (
        "the run was interrupted after 3 of 8 loads, none of them lost. `losttick run --resume "
        "DIR` continues it"
    )
    assert "The time limit of 60 s was reached after 3 of 8 loads" in (
        judged(*ticks(3), OutOfTimeRecord(CELL.id), ENDED).why
    )
    run = judge_run(fold([*heads(PLAN), *ticks(3)]), Path("journal.jsonl"))
    assert run.interrupted == "its journal names no reason"
    assert "expired" not in judged(*ticks(8), ENDED).why
    assert "The only save was `expired`" in judged(*ticks(8, expired=True), ENDED).why


@pytest.mark.parametrize(
    ("cpu", "names", "more"),
    [
        ("qemu64,hv-vapic", "hv-vapic", ""),
        (
            "qemu64,hv-vpindex,hv-synic",
            "hv-vpindex, hv-synic",
            ", and KVM may inhibit APICv for such a guest (always before kernel 5.15)",
        ),
    ],
)
def test_the_verdict_names_enlightenments(cpu: str, names: str, more: str) -> None:
    ordinary = case({Outcome.IMMEDIATE: 299}, ending=Ending())
    enlightened = replace(ordinary, untested_enlightenments=enlightenments(cpu))
    assert decide(enlightened)[1].endswith(
        f". The CPU model has the Hyper-V enlightenments {names}: a Windows guest would tick by "
        f"hv-stimer, which was not tested{more}"
    )
    assert "Hyper-V" not in decide(ordinary)[1]
    assert "Hyper-V" not in decide(replace(enlightened, ending=EARLY))[1]


def test_no_verdict_names_a_resume_that_would_do_nothing() -> None:
    """A lab run is not resumed, and a cell that has its verdict is not tried again."""
    failure = FailureRecord(CELL.id, NO_SAVE, ends_cell=True)
    in_lab = replace(CELL, host="6.1.176-1/untouched")
    begins = [
        replace(record, cells=(in_lab,)) if isinstance(record, PlanRecord) else record
        for record in heads(PLAN)
        if not isinstance(record, HostRecord) or record.cell is None
    ]
    (lab,) = judge_run(
        fold([*begins, replace(failure, cell=in_lab.id)]), Path("journal.jsonl")
    ).cells
    assert lab.why.endswith("(off phase)")
    assert "--resume" not in judged(*ticks(8), ENDED).why


def test_a_campaign_that_ended_before_its_first_load() -> None:
    ending = Ending(0, 0, 299, failure="QEMU did not start.")
    assert str(ending) == "the campaign ended early, before the first load: QEMU did not start"
