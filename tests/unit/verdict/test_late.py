"""Late ticks are anomalous only if the loads have more of them than shams."""

from collections import Counter

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.journal.pairing import FIRST_LOOK
from orchestrator.stats.pairs import POWER, PairCounts, p_value, power
from orchestrator.stats.rate import Losses, loss_rate
from orchestrator.verdict.case import Case, Tally
from orchestrator.verdict.cell import decide
from orchestrator.verdict.late import ERROR, TARGET_EXCESS, decided_early, pairs_to_run
from orchestrator.verdict.verdict import Verdict
from tests.support.exposures import EXPOSED


def judged(
    pairs: PairCounts, late: int = 9, first: PairCounts | None = None, cells: int = 1,
    planned: int | None = None, **others: int,
) -> tuple[Verdict, str]:  # fmt: skip
    outcomes = Counter({Outcome.IMMEDIATE: 299, Outcome.LATE: late})
    outcomes.update({Outcome[name]: count for name, count in others.items()})
    tally = Tally(
        outcomes, Counter(), 0, outcomes.total(), 0, 2, 2, cells=cells, pairs=pairs,
        first_pairs=first, planned=planned,
    )  # fmt: skip
    rate = loss_rate(Losses(tally.trials, outcomes[Outcome.LOST]), 0.95)
    return decide(Case(tally, rate, 0.01, EXPOSED))


def test_a_significant_excess_is_anomalous() -> None:
    verdict, why = judged(PairCounts(200, 7, 0), late=7, MISSED=1)
    assert verdict is Verdict.ANOMALOUS
    assert why.startswith("1 missed, 7 late in 307 loads")
    assert (
        "In 200 pairs of a load and a sham (stop and continue without a load), 7 times only the "
        "load had a late tick and 0 times only the sham: the loads make ticks late (exact McNemar "
        "test, p = 0.0078)" in why
    )


def test_as_many_late_ticks_without_loads_are_the_host_s() -> None:
    verdict, why = judged(PairCounts(200, 7, 3))
    assert verdict is Verdict.CLEAN
    assert "9 of 308 loads had a late tick, which counts as `indistinct`. In 200 pairs" in why
    assert "the host is busy, and the loads are not to blame" in why
    assert "would have shown, with a probability of 80%, an excess of 8.4% of loads" in why


def test_shams_without_a_late_tick_acquit_no_load() -> None:
    verdict, why = judged(PairCounts(200, 6, 0))
    assert verdict is Verdict.CLEAN
    assert "6 times only the load had a late tick and 0 times only the sham. So many pairs" in why
    assert "not to blame" not in why


def test_the_cells_of_a_run_share_the_error() -> None:
    assert judged(PairCounts(300, 7, 0))[0] is Verdict.ANOMALOUS
    assert judged(PairCounts(300, 7, 0), cells=12)[0] is Verdict.CLEAN
    assert judged(PairCounts(300, 11, 0), cells=12)[0] is Verdict.ANOMALOUS


def test_the_two_readings_share_the_error() -> None:
    """7 of 7 in the first 20 pairs is no reason to end; 10 of 10 is."""
    assert not decided_early(None, 1)
    assert not decided_early(PairCounts(20, 9, 0), 1)
    assert decided_early(PairCounts(20, 10, 0), 1)
    assert not decided_early(PairCounts(20, 10, 0), 12)
    verdict, why = judged(PairCounts(200, 12, 12), first=PairCounts(20, 10, 0))
    assert verdict is Verdict.ANOMALOUS
    assert "In 20 pairs" in why
    # At the end the rest of the error is left: a p-value of just 1 % does not reject.
    borderline = PairCounts(300, 14, 3)
    assert 0.006 < p_value(borderline) < 0.9 * ERROR
    assert judged(borderline)[0] is Verdict.ANOMALOUS
    borderline = PairCounts(300, 20, 7)
    assert 0.9 * ERROR < p_value(borderline) < ERROR
    assert judged(borderline)[0] is Verdict.CLEAN


@pytest.mark.parametrize("pairs", [PairCounts(0, 0, 0), PairCounts(6, 0, 0), PairCounts(25, 4, 4)])
def test_too_few_pairs_leave_the_question_open(pairs: PairCounts) -> None:
    verdict, why = judged(pairs)
    assert verdict is Verdict.INCONCLUSIVE
    assert f"9 of 308 loads had a late tick, and {pairs.pairs} pairs of a load and a sham" in why
    assert "Run it again while the host is less busy, or with more --trials" in why
    assert "not to blame" not in why


def test_the_other_anomalies_need_no_baseline() -> None:
    verdict, why = judged(PairCounts(200, 1, 1), EXTRA=1)
    assert verdict is Verdict.ANOMALOUS
    assert why.startswith("1 extra in 309 loads; ")
    assert "the loads are not to blame" in why


def test_a_cell_without_late_ticks_says_nothing_of_shams() -> None:
    verdict, why = judged(PairCounts(0, 0, 0), late=0)
    assert verdict is Verdict.CLEAN
    assert "sham" not in why


@pytest.mark.parametrize("planned", [1, 20, 40])
def test_a_small_plan_keeps_its_verdict_once_it_has_its_pairs(planned: int) -> None:
    pairs = pairs_to_run(1, planned)
    assert pairs == max(planned, FIRST_LOOK)
    verdict, why = judged(PairCounts(pairs, 1, 1), planned=planned)
    assert verdict is Verdict.CLEAN
    assert "would have shown, with a probability of 80%, an excess of" in why
    verdict, why = judged(PairCounts(pairs - 1, 8, 8), planned=planned)
    assert verdict is Verdict.INCONCLUSIVE
    assert "So few pairs" not in why  # said once
    # So noisy a host would hide any excess, and the verdict says so.
    verdict, why = judged(PairCounts(pairs, pairs // 2, pairs // 2), planned=planned)
    assert verdict is Verdict.CLEAN
    assert "So few pairs can't show that loads make ticks late" in why


@pytest.mark.parametrize("cells", [1, 12, 100])
def test_a_cell_runs_enough_pairs_to_say_something(cells: int) -> None:
    pairs = pairs_to_run(cells, 2000)
    assert pairs >= 100
    assert power(pairs, TARGET_EXCESS, 0.0, 0.9 * ERROR / cells) >= POWER
