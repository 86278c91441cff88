"""The error rates that verdicts state, measured on simulated campaigns.

1,000 campaigns a point, or as many as LOSTTICK_TEST_CAMPAIGNS says; `tox -e long` runs the
10,000 of the tables in docs/statistics.md. `-s` prints them. The product's own fold counts the
trials, and its own rules judge them.
"""

import math
from collections import Counter
from functools import cache

import numpy as np
import pytest
from scipy.stats import binom

from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.stats.bounds import ruled_out
from orchestrator.stats.rate import Losses, loss_rate, rate_over_saves
from orchestrator.stats.save_effect import BySave
from orchestrator.stats.sequence import confidence_sequence, evidence_against
from orchestrator.stats.stopping import FALSE_DIAGNOSIS, Advice, StoppingRule, losses_to_be_sure
from orchestrator.verdict.case import Case, Tally
from orchestrator.verdict.cell import decide
from orchestrator.verdict.verdict import Verdict
from tests.support.exposures import EXPOSED
from tests.support.simulated_campaigns import (
    CAMPAIGNS,
    CONFIDENCE,
    LOADS,
    PLANNED,
    Draw,
    Observer,
    Product,
    alike,
    all_or_none,
    beta,
    beta_losing,
    simulate,
    verdicts,
)

STATED = 1 - CONFIDENCE


def within(errors: int, stated: float, what: str) -> None:
    """Fail if a rule that errs as often as stated gives so many errors in 1 of 1,000 tests."""
    allowed = int(binom.isf(0.001, CAMPAIGNS, stated))
    print(f"{what}: {errors / CAMPAIGNS:.2%} (stated {stated:.2%})")
    assert errors <= allowed, what


@pytest.fixture
def any_saves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the test whether losses depend on the save.

    Its result changes the interval after a loss, and no verdict: there has been a loss. The
    test takes 25 ms for each campaign; `test_ends_of_intervals` runs it.
    """
    monkeypatch.setattr(BySave, "p_value", 1.0)


# --- false clean ---

#: What 299 loads without a loss claim: of loads, and of saves where they differ.
RATE = ruled_out(PLANNED, CONFIDENCE)


SAVES = -(-PLANNED // LOADS)


FALSE_CLEAN = {
    "alike": (alike(RATE), Observer(), {}),
    "alike, 1% of attempts stall": (alike(RATE), Observer(stall=0.01), {}),
    "alike, 4% stall, 330 planned": (alike(0.01), Observer(stall=0.04), {"planned": 330}),
    "alike, 0.1% of ticks misread": (alike(RATE), Observer(misread=1e-3), {}),
    "alike, 1% of losses missed": (alike(RATE / 0.99), Observer(missed=0.01), {}),
    "alike, 10% of losses missed": (alike(RATE / 0.9), Observer(missed=0.1), {}),
    "all or none, a load in 100 ends a save": (all_or_none(RATE * LOADS), Observer(), {}),
    "beta, a+b=1, a load in 100 ends a save": (
        beta_losing(RATE * LOADS, 1.0, LOADS), Observer(), {},
    ),
    "beta, a+b=20, a load in 100 ends a save": (
        beta_losing(RATE * LOADS, 20.0, LOADS), Observer(stall=0.01), {},
    ),
    "all or none, saves at their bound": (
        all_or_none(ruled_out(SAVES, CONFIDENCE)), Observer(), {},
    ),
    "all or none, one load a save": (all_or_none(RATE), Observer(), {"loads_per_save": 1}),
    "beta, a+b=1, one load a save": (beta(RATE, 1 - RATE), Observer(), {"loads_per_save": 1}),
}  # fmt: skip


@pytest.mark.usefixtures("any_saves")
@pytest.mark.parametrize("point", FALSE_CLEAN)
def test_false_clean(point: str) -> None:
    draw, observer, how = FALSE_CLEAN[point]
    found = verdicts(simulate(draw, observer, **how))
    within(found[Verdict.CLEAN], STATED, f"false clean: {point}")


@pytest.mark.usefixtures("any_saves")
def test_what_clean_does_not_claim() -> None:
    """1 save in 100 always loses; 12 saves of 25 loads can't know, and say so."""
    clean = verdicts(simulate(all_or_none(0.01)))[Verdict.CLEAN]
    print(f"clean with 1% of saves that always lose: {clean / CAMPAIGNS:.1%} (not claimed)")
    assert clean > 0.8 * CAMPAIGNS


@pytest.mark.usefixtures("any_saves")
def test_a_host_that_loses_nothing_is_clean() -> None:
    found = verdicts(simulate(alike(0), Observer(stall=0.02, misread=1e-5)))
    print(f"clean if nothing is lost, 2% stall: {found[Verdict.CLEAN] / CAMPAIGNS:.1%}")
    assert found[Verdict.CLEAN] > 0.95 * CAMPAIGNS


# --- false affected ---


@pytest.mark.usefixtures("any_saves")
@pytest.mark.parametrize(("misread", "testimony"), [(1e-3, 1e-3), (0.05, 2e-5), (1e-6, 1.0)])
def test_false_affected_in_a_usual_cell(misread: float, testimony: float) -> None:
    observer = Observer(stall=0.02, misread=misread, false_testimony=testimony)
    found = verdicts(simulate(alike(0), observer))
    within(
        found[Verdict.AFFECTED], STATED,
        f"false affected: 299 loads, {misread:g} misread, {testimony:g} of them diagnosed",
    )  # fmt: skip


@cache
def is_affected(loads: int, losses: int, cells: int) -> bool:
    """Judge counts: to fold a million records for each of hundreds of campaigns takes long."""
    outcomes = Counter({Outcome.IMMEDIATE: loads - losses, Outcome.LOST: losses})
    causes = Counter({Cause.LOST_INTERRUPT: losses})
    tally = Tally(outcomes, causes, losses, loads, 0, 2, 2, planned=loads, cells=cells)
    rate = loss_rate(Losses(loads, losses, 0, planned=loads), CONFIDENCE)
    return decide(Case(tally, rate, 0.01, EXPOSED))[0] is Verdict.AFFECTED


@pytest.mark.parametrize(
    ("cells", "loads"), [(1, 50_000), (12, 4_000), (12, 50_000), (100, 3_000), (1, 1_000_000)]
)
def test_false_affected_anywhere_in_a_run(cells: int, loads: int) -> None:
    """The observer errs just as often as is stated; every cell may end at its count."""
    rng = np.random.default_rng(cells * loads)
    rule = StoppingRule(loads, stop_after=1, error=STATED / cells)
    needed = losses_to_be_sure(loads, STATED / cells)
    diagnosed = rng.binomial(loads, FALSE_DIAGNOSIS, (CAMPAIGNS, cells))
    wrong = 0
    for counts in diagnosed:
        calls = [is_affected(loads, int(n), cells) for n in counts]
        early = [rule.ask(loads - 1, int(n)) is Advice.ENOUGH_LOSSES for n in counts]
        assert calls == early  # who ends early calls the same
        wrong += any(calls)
    within(wrong, STATED, f"false affected: {cells} cells of {loads:,} loads, {needed} needed")


# --- intervals ---

INTERVALS = {
    "alike, 2%": alike(0.02),
    "alike, 30%": alike(0.3),
    "beta(0.2, 9.8)": beta(0.2, 9.8),
    "beta(0.5, 9.5)": beta(0.5, 9.5),
    "beta(0.1, 0.9)": beta(0.1, 0.9),
    "beta(2, 8)": beta(2, 8),
    "all or none, 20%": all_or_none(0.2),
    "all or none, 90%": all_or_none(0.9),
    "1% in most saves, 30% in a fifth": lambda rng, size: np.where(
        rng.random(size) < 0.2, 0.3, 0.01
    ),
}


def true_rates(draw: Draw) -> tuple[float, float, float]:
    """Return the mean rate of saves, losses per load done, and per load that saves allow."""
    rates = draw(np.random.default_rng(5), 1_000_000)
    losing = -np.expm1(LOADS * np.log1p(-np.minimum(rates, 1 - 1e-15)))
    loads = np.divide(losing, rates, out=np.full_like(rates, LOADS), where=rates > 0)
    return rates.mean(), losing.mean() / loads.mean(), losing.mean() / LOADS


@pytest.mark.parametrize("point", INTERVALS)
def test_ends_of_intervals(point: str) -> None:
    """The interval after the test whether saves differ, and the one over saves in any case."""
    of_saves, done, allowed = true_rates(INTERVALS[point])
    campaigns, product = simulate(INTERVALS[point]), Product(PLANNED, LOADS)
    reported_low = reported_high = saves_low = saves_high = differ = 0
    for campaign in range(CAMPAIGNS):
        result = product.judge(campaigns.attempts(campaign))
        rate, lost = result.rate, result.counts.outcomes[Outcome.LOST]
        over_saves = rate_over_saves(result.counts.by_save, CONFIDENCE)
        assert over_saves is not None
        differ += rate.per == "save"
        truth = of_saves if rate.per == "save" else done
        reported_low += rate.low > truth
        reported_high += rate.high < (truth if lost else allowed)
        saves_low += over_saves.low > of_saves
        saves_high += over_saves.high < of_saves
    print(f"\n{point}: called different: {differ / CAMPAIGNS:.1%}")
    within(reported_low, STATED, "  lower end too high")
    within(reported_high, STATED, "  upper end too low")
    within(saves_low, STATED, "  over saves: lower end too high")
    within(saves_high, STATED, "  over saves: upper end too low")


#: Loads of each save, as a lab run has them and as users choose them, and the saves.
WITH_A_LOSS = {
    f"{name}, {loads} loads a save": (draw, loads)
    for loads in (5, 10)
    for name, draw in {
        "alike, 20%": alike(0.2),
        "all or none, 5%": all_or_none(0.05),
        "all or none, 50%": all_or_none(0.5),
        "beta(2, 8)": beta(2, 8),
    }.items()
}


@pytest.mark.parametrize("point", WITH_A_LOSS)
def test_both_bounds_that_are_named_with_a_loss(point: str) -> None:
    """The one over saves must hold in any case, the one over loads if all loads are alike.

    The upper ends must also hold in the campaigns that had a loss, because nobody reads them
    in the others.
    """
    draw, loads = WITH_A_LOSS[point]
    (of_loads, *others) = set(draw(np.random.default_rng(6), 1000).tolist())
    of_saves = draw(np.random.default_rng(5), 1_000_000).mean()
    campaigns, product = simulate(draw, loads_per_save=loads), Product(PLANNED, loads)
    with_a_loss = 0
    wrong: Counter[str] = Counter()
    for campaign in range(CAMPAIGNS):
        rate = product.judge(campaigns.attempts(campaign)).rate
        if not rate.estimate and rate.low == 0 and rate.per == "load":
            continue
        with_a_loss += 1
        assert rate.over_saves is not None, "the bound over saves is not named"
        wrong["saves, lower"] += rate.over_saves.low > of_saves
        wrong["saves, upper"] += rate.over_saves.high < of_saves
        if rate.per == "load" and not others:
            wrong["loads, lower"] += rate.low > of_loads
            wrong["loads, upper"] += rate.high < of_loads
    print(f"\n{point}: {with_a_loss / CAMPAIGNS:.1%} with a loss")
    assert with_a_loss
    for which in ("saves, lower", "saves, upper", "loads, lower", "loads, upper"):
        within(wrong[which], STATED, f"  {which} end wrong")
        if which.endswith("upper"):
            allowed = int(binom.isf(0.001, with_a_loss, STATED))
            assert wrong[which] <= allowed, f"{which} end, of campaigns with a loss"


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.97])
def test_intervals_of_campaigns_that_ended_early(rate: float) -> None:
    """They end at their 10th loss, or as planned: a confidence sequence holds both ends."""
    rng = np.random.default_rng(3)
    rule = StoppingRule(PLANNED, stop_after=10)
    wrong = fixed = 0
    for _ in range(CAMPAIGNS):
        places = np.flatnonzero(rng.random(PLANNED) < rate)
        early = len(places) >= 10
        trials, lost = (int(places[9]) + 1, 10) if early else (PLANNED, len(places))
        if early:
            assert rule.ask(trials, lost) is Advice.ENOUGH_LOSSES
        assert rule.ask(trials - 1, lost - 1) is Advice.GO_ON
        low, high = sequence(lost, trials)
        wrong += not low <= rate <= high
        at_fixed = fixed_interval(lost, trials)
        fixed += not at_fixed[0] <= rate <= at_fixed[1]
    within(wrong, STATED, f"interval at the end, rate {rate:.0%}, ended at 10 losses")
    print(f"  (a fixed-number interval with both ends at 95%: {fixed / CAMPAIGNS:.2%})")


@cache
def sequence(lost: int, trials: int) -> tuple[float, float]:
    return confidence_sequence(lost, trials, CONFIDENCE)


@cache
def fixed_interval(lost: int, trials: int) -> tuple[float, float]:
    rate = loss_rate(Losses(trials, lost), CONFIDENCE)
    return rate.low, rate.high


@pytest.mark.parametrize("rate", [0.002, 0.02, 0.3, 0.97])
def test_a_rate_read_after_every_trial(rate: float) -> None:
    """The strictest reader: wrong at any time of 299 is wrong."""
    rng = np.random.default_rng(4)
    out = np.zeros(CAMPAIGNS, dtype=bool)
    lost = np.zeros(CAMPAIGNS, dtype=int)
    for trials in range(1, PLANNED + 1):
        lost += rng.random(CAMPAIGNS) < rate
        refuted = {
            n: evidence_against(rate, n, trials) >= -math.log(STATED) for n in set(lost.tolist())
        }
        out |= np.array([refuted[n] for n in lost.tolist()])
    within(int(out.sum()), STATED, f"read after each trial, rate {rate:.1%}")
