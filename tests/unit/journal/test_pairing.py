"""The fold of loads and shams that were run in pairs."""

from orchestrator.findings.outcome import Outcome
from orchestrator.journal.counts import CellState
from orchestrator.journal.fold import fold
from orchestrator.journal.pairing import FIRST_LOOK
from orchestrator.journal.records import Record, ResumedRecord
from orchestrator.journal.trial_record import Role, TrialRecord
from orchestrator.plan.load import build_plan
from orchestrator.stats.pairs import PairCounts
from orchestrator.testing import FACTS
from tests.support.records import heads, save_record

PLAN = build_plan({"axes": {"accel": "kvm"}, "limits": {"trials": 9, "rule_out": 0.5}}, "test")
(CELL,) = PLAN.cells(auto=None)  # type: ignore[arg-type]  # the plan leaves nothing open
GOOD, LATE, MISSED, UNKNOWN = Outcome.IMMEDIATE, Outcome.LATE, Outcome.MISSED, Outcome.UNKNOWN


def load(outcome: Outcome, pair: int | None = None) -> Record:
    return TrialRecord(CELL.id, "save1", outcome, pair=pair)


def sham(outcome: Outcome, pair: int) -> Record:
    return TrialRecord(CELL.id, f"sham{pair}", outcome, role=Role.SHAM, number=pair, pair=pair)


def folded(*records: Record) -> CellState:
    return fold([*heads(PLAN), save_record(CELL, "save1"), *records]).cells[CELL.id]


def test_the_first_late_tick_begins_the_pairing_and_is_in_no_pair() -> None:
    assert not folded(load(GOOD)).pairing.began
    cell = folded(load(GOOD), load(LATE))
    assert cell.pairing.began
    assert (cell.pairing.counts, cell.pairing.loads) == (PairCounts(0, 0, 0), 0)
    assert folded(load(MISSED)).pairing.began


def test_pairs_count_whatever_their_order() -> None:
    pairing = folded(
        load(LATE),
        load(LATE, 1), sham(GOOD, 1),
        sham(GOOD, 2), load(MISSED, 2),
        sham(LATE, 3), load(GOOD, 3),
        sham(LATE, 4), load(LATE, 4),
        load(GOOD, 5), sham(GOOD, 5),
        load(GOOD, 6),
    ).pairing  # fmt: skip
    assert pairing.counts == PairCounts(5, 2, 1)
    assert (pairing.number, pairing.missing, pairing.loads) == (6, Role.SHAM, 6)
    assert pairing.shams == {GOOD: 3, LATE: 2}


def test_a_sham_is_no_trial_and_no_attempt() -> None:
    cell = folded(load(LATE), sham(Outcome.LOST, 1), load(GOOD, 2), sham(UNKNOWN, 2))
    assert (cell.trials, cell.attempts, cell.unknown_attempts) == (2, 2, 0)
    assert cell.outcomes == {LATE: 1, GOOD: 1}
    assert cell.controls == []


def test_a_pair_with_an_unclear_member_is_dropped() -> None:
    pairing = folded(load(LATE), sham(UNKNOWN, 1)).pairing
    assert (pairing.missing, pairing.number) == (None, 1)
    pairing = folded(load(LATE), load(LATE, 1), sham(Outcome.EXTRA, 1)).pairing
    assert (pairing.missing, pairing.counts.pairs) == (None, 0)
    pairing = folded(load(LATE), sham(LATE, 1), load(UNKNOWN, 1), sham(LATE, 2)).pairing
    assert (pairing.missing, pairing.counts.pairs) == (Role.HOST, 0)


def test_the_members_of_a_pair_are_of_one_session() -> None:
    resumed = ResumedRecord("test", {"tick": "sha"}, FACTS, {})
    pairing = folded(load(LATE), load(LATE, 1), sham(GOOD, 1), load(LATE, 2), resumed).pairing
    assert (pairing.missing, pairing.number, pairing.counts.pairs) == (None, 2, 1)
    assert pairing.began


def test_the_first_look_is_kept() -> None:
    records = [load(LATE)]
    for pair in range(1, FIRST_LOOK + 5):
        records += [load(LATE if pair <= 3 else GOOD, pair), sham(GOOD, pair)]
    pairing = folded(*records[: 2 * FIRST_LOOK]).pairing
    assert pairing.first_look is None
    pairing = folded(*records, load(LATE, 99), sham(GOOD, 99)).pairing
    assert pairing.first_look == PairCounts(FIRST_LOOK, 3, 0)
    assert pairing.counts == PairCounts(FIRST_LOOK + 5, 4, 0)
