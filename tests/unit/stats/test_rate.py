import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from orchestrator.stats.bounds import ruled_out
from orchestrator.stats.rate import Losses, loss_rate, rate_over_saves
from orchestrator.stats.sequence import confidence_sequence
from tests.support.saves import by_save

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


# --- saves ---


def test_where_saves_differ_the_interval_is_over_saves() -> None:
    """Half of the saves always lose, at their first load; the others never do."""
    saves = by_save(*[-1, 25] * 12)
    rate = loss_rate(Losses(12 + 12 * 25, 12, 0, saves), 0.95)
    assert saves.differ
    assert (rate.per, rate.estimate) == ("save", 0.5)
    assert rate.low < 0.5 < rate.high
    assert rate.over_saves == rate_over_saves(saves, 0.95)
    assert rate.over_saves is not None
    assert (rate.low, rate.high) == (rate.over_saves.low, rate.over_saves.high)


def test_where_they_do_not_it_is_over_loads() -> None:
    every = by_save(*[-1] * 20)
    assert not every.differ
    assert loss_rate(Losses(20, 20, 0, every), 0.95).per == "load"
    some = by_save(25, -13, 25, -20, 25, -7, 25, 25, -24, 25, -11, 25, -3, 25)
    assert not some.differ
    assert loss_rate(Losses(278, 6, 0, some), 0.95).estimate == 6 / 278
