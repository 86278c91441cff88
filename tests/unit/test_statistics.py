import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from orchestrator.stats.bounds import ruled_out, trials_needed
from orchestrator.stats.rate import Losses, loss_rate, rate_over_saves
from orchestrator.stats.save_effect import BySave
from orchestrator.stats.sequence import confidence_sequence, evidence_against
from orchestrator.stats.stopping import FALSE_DIAGNOSIS, Advice, StoppingRule, losses_to_be_sure
from orchestrator.verdict.family import CellBound, statement
from orchestrator.verdict.verdict import Verdict


def by_save(*saves: int, loads_per_save: int = 25) -> BySave:
    """Return saves of so many loads; a negative number says that the last was lost."""
    counted = BySave(loads_per_save)
    for loads in saves:
        counted.begin()
        for load in range(abs(loads)):
            counted.count(lost=loads < 0 and load == -loads - 1)
    return counted


# --- intervals ---


@given(st.integers(1, 400), st.data())
def test_each_end_of_the_interval_is_exact(trials: int, data: st.DataObject) -> None:
    """At either end, what was seen has just the probability that was allowed for."""
    losses = data.draw(st.integers(0, trials))
    rate = loss_rate(Losses(trials, losses), 0.95)
    assert rate.low <= losses / trials <= rate.high
    if losses < trials:
        assert binom.cdf(losses, trials, rate.high) == pytest.approx(0.05, rel=1e-6)
    if losses:
        assert binom.sf(losses - 1, trials, rate.low) == pytest.approx(0.05, rel=1e-6)


@given(st.integers(1, 100), st.data())
def test_no_true_rate_is_missed_more_often_than_stated(trials: int, data: st.DataObject) -> None:
    """Whatever the rate, each end errs at most 1 - confidence: summed, not simulated."""
    truth = data.draw(st.floats(0.001, 0.999))
    rates = [loss_rate(Losses(trials, lost), 0.95) for lost in range(trials + 1)]
    chances = binom.pmf(range(trials + 1), trials, truth)
    assert sum(p for p, r in zip(chances, rates, strict=True) if r.low > truth) <= 0.05 + 1e-9
    assert sum(p for p, r in zip(chances, rates, strict=True) if r.high < truth) <= 0.05 + 1e-9


@given(st.integers(1, 10**6), st.floats(0.51, 0.9999))
def test_what_is_ruled_out_takes_just_so_many(trials: int, confidence: float) -> None:
    rate = ruled_out(trials, confidence)
    assert trials_needed(rate * (1 + 1e-9), confidence) <= trials
    assert math.isclose(math.exp(trials * math.log1p(-rate)), 1 - confidence, rel_tol=1e-6)


@given(st.integers(2, 300), st.integers(0, 30), st.data())
def test_an_unresolved_trial_counts_as_lost_above_and_not_below(
    trials: int, lost: int, data: st.DataObject
) -> None:
    lost = min(lost, trials - 1)
    unresolved = data.draw(st.integers(1, trials - lost))
    rate = loss_rate(Losses(trials, lost, unresolved), 0.95)
    assert rate.low == loss_rate(Losses(trials, lost), 0.95).low
    assert rate.high == loss_rate(Losses(trials, lost + unresolved), 0.95).high


def test_no_trials_say_nothing() -> None:
    rate = loss_rate(Losses(0, 0), 0.95)
    assert (rate.low, rate.high, rate.estimate) == (0, 1, None)


def test_without_a_loss_the_bound_may_be_read_at_any_time() -> None:
    assert loss_rate(Losses(200, 0, planned=299), 0.95).high == ruled_out(200, 0.95)


def test_after_a_loss_an_unplanned_end_reads_the_confidence_sequence() -> None:
    planned = loss_rate(Losses(200, 5, planned=200), 0.95)
    unplanned = loss_rate(Losses(200, 5, planned=299), 0.95)
    assert (unplanned.low, unplanned.high) == confidence_sequence(5, 200, 0.95)
    assert unplanned.low < planned.low < planned.high < unplanned.high


# --- the confidence sequence ---


@given(st.integers(1, 2000), st.data(), st.floats(0.6, 0.999))
def test_a_confidence_sequence_is_where_the_evidence_ends(
    trials: int, data: st.DataObject, confidence: float
) -> None:
    lost = data.draw(st.integers(0, trials))
    low, high = confidence_sequence(lost, trials, confidence)
    assert 0 <= low <= lost / trials <= high <= 1
    bound = -math.log1p(-confidence)
    for end in (low, high):
        if 0 < end < 1:
            assert evidence_against(end, lost, trials) == pytest.approx(bound, rel=1e-6, abs=1e-6)


@given(st.floats(0.001, 0.999), st.integers(0, 60), st.data())
def test_the_evidence_against_the_true_rate_is_a_martingale(
    rate: float, trials: int, data: st.DataObject
) -> None:
    """Its mean after a further trial is what it is now: so it seldom grows large."""
    lost = data.draw(st.integers(0, trials))
    now = math.exp(evidence_against(rate, lost, trials))
    after_loss = math.exp(evidence_against(rate, lost + 1, trials + 1))
    after_tick = math.exp(evidence_against(rate, lost, trials + 1))
    assert rate * after_loss + (1 - rate) * after_tick == pytest.approx(now, rel=1e-9)
    assert evidence_against(rate, 0, 0) == pytest.approx(0)


# --- the stopping rule ---


@given(st.integers(1, 10**6), st.floats(1e-4, 0.2))
def test_as_many_losses_as_it_takes_to_be_sure(planned: int, error: float) -> None:
    count = losses_to_be_sure(planned, error)
    assert binom.sf(count - 1, planned, FALSE_DIAGNOSIS) <= error * (1 + 1e-9)
    assert count == 1 or binom.sf(count - 2, planned, FALSE_DIAGNOSIS) > error * (1 - 1e-9)


def test_by_default_a_campaign_goes_on_to_what_was_planned() -> None:
    rule = StoppingRule(299)
    assert rule.ask(298, 298) is Advice.GO_ON
    assert rule.ask(299, 299) is Advice.PLANNED_REACHED


def test_a_campaign_may_end_when_it_is_sure() -> None:
    rule = StoppingRule(299, stop_after=10)
    assert rule.ask(50, 9) is Advice.GO_ON
    assert rule.ask(50, 10) is Advice.ENOUGH_LOSSES
    many = StoppingRule(1_000_000, stop_after=1)
    assert many.ask(50, 3) is Advice.GO_ON  # 3 could be the observer's errors, by then
    assert many.ask(50, 4) is Advice.ENOUGH_LOSSES
    wide = StoppingRule(125_000, stop_after=1, vcpus=8)  # as many chances to err
    assert wide.ask(50, 3) is Advice.GO_ON
    assert wide.ask(50, 4) is Advice.ENOUGH_LOSSES


@given(st.integers(1, 300), st.lists(st.booleans(), max_size=300), st.integers(1, 20))
def test_ending_early_never_changes_the_verdict(
    planned: int, losses: list[bool], stop_after: int
) -> None:
    """Whoever goes on after `enough` finds enough at the end, too."""
    rule, lost, ended = StoppingRule(planned, stop_after), 0, False
    for trials, loss in enumerate(losses[:planned], start=1):
        lost += loss
        ended |= rule.ask(trials, lost) is Advice.ENOUGH_LOSSES
    assert ended == (rule.ask(0, lost) is Advice.ENOUGH_LOSSES)
    assert not ended or lost >= losses_to_be_sure(planned, 0.05)


# --- saves ---


def test_where_saves_differ_the_interval_is_over_saves() -> None:
    """Half of the saves always lose, at their first load; the others never do."""
    saves = by_save(*[-1, 25] * 12)
    rate = loss_rate(Losses(12 + 12 * 25, 12, 0, saves), 0.95)
    assert saves.differ
    assert (rate.per, rate.estimate) == ("save", 0.5)
    assert rate.low < 0.5 < rate.high
    assert rate == rate_over_saves(saves, 0.95)


def test_where_they_do_not_it_is_over_loads() -> None:
    every = by_save(*[-1] * 20)
    assert not every.differ
    assert loss_rate(Losses(20, 20, 0, every), 0.95).per == "load"
    some = by_save(25, -13, 25, -20, 25, -7, 25, 25, -24, 25, -11, 25, -3, 25)
    assert not some.differ
    assert loss_rate(Losses(278, 6, 0, some), 0.95).estimate == 6 / 278


def test_one_load_a_save_can_not_differ() -> None:
    assert by_save(-1, 1, 1, -1, loads_per_save=1).p_value == 1


@given(st.lists(st.integers(-25, 25), max_size=40))
def test_a_p_value_for_whatever_happened(loads: list[int]) -> None:
    saves = by_save(*loads)
    assert 1 / 1000 <= saves.p_value <= 1
    assert saves.p_value == by_save(*loads).p_value
    assert saves.first_loads == sum(n != 0 for n in loads)
    assert saves.first_losses == loads.count(-1)


def test_a_stall_that_ends_a_save_is_no_sign_of_bad_saves() -> None:
    """Saves cut short by stalls: losses come early in them whatever saves are like."""
    cut = by_save(*[3, -2, 2, -3, 3, 3, -3, 2, -1, 3] * 4)
    assert not cut.differ


def saves_of(rates: Iterable[float], rng: np.random.Generator, planned: int) -> BySave:
    saves, done = BySave(25), 0
    for rate in rates:
        saves.begin()
        while saves.loads[-1] < 25 and done < planned and not saves.lost[-1]:
            saves.count(lost=bool(rng.random() < rate))
            done += 1
        if done == planned:
            break
    return saves


def test_alike_saves_are_seldom_called_different() -> None:
    rng = np.random.default_rng(1)
    called = sum(saves_of([0.05] * 300, rng, 100).differ for _ in range(10_000))
    assert called <= binom.isf(0.001, 10_000, 0.05)


def test_different_saves_are_found() -> None:
    """Fisher's test of first loads against later ones finds 23 % and 42 % of these."""
    rng = np.random.default_rng(2)
    for (a, b), power in {(2, 8): 0.6, (0.1, 0.9): 0.6}.items():
        found = sum(saves_of(rng.beta(a, b, 300), rng, 299).differ for _ in range(1000))
        assert found > 1000 * power


# --- the whole run ---


def test_a_clean_run_needs_no_correction_and_says_what_holds_at_once() -> None:
    text = statement([CellBound(Verdict.CLEAN, 299, 0)] * 12, 0.95)
    assert "All 12 cells are clean" in text
    assert "for 1.816%" in text
    assert "If any cell lost more than its bound" in text
    assert "3,588 loads rule out an average loss rate above 0.083%" in text


def test_an_affected_run_says_how_often_that_would_be_wrong() -> None:
    cells = [CellBound(Verdict.AFFECTED, 299, 0)] + [CellBound(Verdict.CLEAN, 299, 0)] * 2
    text = statement(cells, 0.95)
    assert "2 of 3 cells are clean" in text
    assert "any of 3 cells is called affected by mistake has a probability of at most 0.05" in text


def test_a_run_of_which_nothing_ran_says_so() -> None:
    nothing = "No cell ran: nothing is ruled out."
    assert statement([CellBound(Verdict.SKIPPED, 0, 0)], 0.95) == nothing
    assert statement([], 0.95) == nothing
