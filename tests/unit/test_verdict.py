import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from orchestrator.campaign.statistics import Losses, loss_rate
from orchestrator.campaign.verdict import Tally, Verdict, decide, overall
from orchestrator.guest.firmware import TimerMode
from orchestrator.host.exposure import Exposure, ExposureState, exposure, refine
from orchestrator.plan.model import PlanLimits
from orchestrator.trial.diagnosis import Cause
from orchestrator.trial.outcome import Outcome
from orchestrator.vm.argv import Accel
from tests.fake.host import FACTS

EXPOSED = Exposure(ExposureState.EXPOSED, "kvm_intel runs with enable_apicv=Y")
NOT_EXPOSED = Exposure(ExposureState.NOT_EXPOSED, "TCG")


def verdict(
    outcomes: dict[Outcome, int],
    causes: dict[Cause, int] | None = None,
    *,
    unknown_attempts: int = 0,
    controls_seen: int = 2,
    bug_losses: int | None = None,
    exposed: Exposure = EXPOSED,
) -> Verdict:
    if bug_losses is None:
        bug_losses = (causes or {}).get(Cause.LOST_INTERRUPT, 0)
    tally = Tally(
        Counter(outcomes), Counter(causes or {}), bug_losses,
        sum(outcomes.values()) + unknown_attempts, unknown_attempts, controls_seen, 2,
    )  # fmt: skip
    rate = loss_rate(
        Losses(tally.trials, tally.outcomes[Outcome.LOST], tally.outcomes[Outcome.UNKNOWN]), 0.95
    )
    return decide(tally, rate, 0.01, exposed)[0]


def test_299_loads_without_a_loss_are_clean_and_298_are_not() -> None:
    assert PlanLimits().planned == 299
    assert verdict({Outcome.IMMEDIATE: 299}) is Verdict.CLEAN
    assert verdict({Outcome.IMMEDIATE: 298}) is Verdict.INCONCLUSIVE


def test_an_unresolved_unknown_counts_as_a_loss_in_the_bound() -> None:
    assert verdict({Outcome.IMMEDIATE: 298, Outcome.UNKNOWN: 1}) is Verdict.INCONCLUSIVE
    assert verdict({Outcome.IMMEDIATE: 500, Outcome.UNKNOWN: 1}) is Verdict.CLEAN


def test_no_clean_without_the_controls() -> None:
    assert verdict({Outcome.IMMEDIATE: 299}, controls_seen=1) is Verdict.INCONCLUSIVE


def test_no_clean_beyond_five_percent_unknown() -> None:
    assert verdict({Outcome.IMMEDIATE: 299}, unknown_attempts=15) is Verdict.CLEAN
    assert verdict({Outcome.IMMEDIATE: 299}, unknown_attempts=16) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("causes", "exposed", "expected"),
    [
        ({Cause.LOST_INTERRUPT: 1}, EXPOSED, Verdict.AFFECTED),
        ({Cause.LOST_INTERRUPT: 1}, NOT_EXPOSED, Verdict.ANOMALOUS),
        ({Cause.NOT_RESTORED: 1}, EXPOSED, Verdict.ANOMALOUS),
        ({Cause.HARNESS_FAULT: 1}, EXPOSED, Verdict.ANOMALOUS),
    ],
)
def test_only_a_diagnosed_loss_on_an_exposed_host_is_affected(
    causes: dict[Cause, int], exposed: Exposure, expected: Verdict
) -> None:
    outcomes = {Outcome.IMMEDIATE: 298, Outcome.LOST: 1}
    assert verdict(outcomes, causes, exposed=exposed) is expected


def test_an_interrupt_that_was_lost_later_is_not_the_bug() -> None:
    """It loses the first tick after a load; here ticks went on before they stopped."""
    outcomes = {Outcome.IMMEDIATE: 298, Outcome.LOST: 1}
    assert verdict(outcomes, {Cause.LOST_INTERRUPT: 1}, bug_losses=0) is Verdict.ANOMALOUS


@pytest.mark.parametrize("outcome", [Outcome.MISSED, Outcome.RECOVERED, Outcome.CRASHED])
def test_oddities_are_anomalous(outcome: Outcome) -> None:
    assert verdict({Outcome.IMMEDIATE: 298, outcome: 1}) is Verdict.ANOMALOUS


def test_the_gravest_verdict_stands_for_the_run() -> None:
    assert overall([Verdict.CLEAN, Verdict.ANOMALOUS, Verdict.SKIPPED]) is Verdict.ANOMALOUS
    assert overall([Verdict.CLEAN, Verdict.SKIPPED]) is Verdict.CLEAN
    assert overall([]) is Verdict.SKIPPED


@given(st.integers(1, 3000), st.floats(0.001, 0.5), st.floats(0.6, 0.999))
def test_the_planned_trials_are_just_enough(_: int, rule_out: float, confidence: float) -> None:
    limits = PlanLimits(rule_out=rule_out, confidence=confidence)
    assert loss_rate(Losses(limits.needed, 0), confidence).high <= rule_out * (1 + 1e-9)
    if limits.needed > 1:
        assert loss_rate(Losses(limits.needed - 1, 0), confidence).high > rule_out * (1 - 1e-9)


@given(st.integers(1, 400), st.data())
def test_the_interval_is_exact(trials: int, data: st.DataObject) -> None:
    """At either end, what was seen has just the probability that was allowed for."""
    losses = data.draw(st.integers(0, trials))
    rate = loss_rate(Losses(trials, losses), 0.95)
    tail = 0.05 if losses == 0 else 0.025
    assert rate.low <= losses / trials <= rate.high
    if losses < trials:
        assert binom.cdf(losses, trials, rate.high) == pytest.approx(tail, rel=1e-6)
    if losses:
        assert binom.sf(losses - 1, trials, rate.low) == pytest.approx(tail, rel=1e-6)


def test_where_saves_differ_the_interval_is_over_saves() -> None:
    """Half of the saves always lose, at their first load; the others never do."""
    losses = Losses(
        trials=12 + 12 * 25, lost=12, first_loads=24, first_losses=12, saves=24, lossy_saves=12
    )
    rate = loss_rate(losses, 0.95)
    assert losses.saves_differ
    assert (rate.per, rate.estimate) == ("save", 0.5)
    assert rate.low < 0.5 < rate.high


def test_where_they_do_not_it_is_over_loads() -> None:
    every = Losses(trials=20, lost=20, first_loads=20, first_losses=20, saves=20, lossy_saves=20)
    assert not every.saves_differ
    assert loss_rate(every, 0.95).per == "load"
    some = Losses(trials=500, lost=6, first_loads=26, first_losses=1, saves=26, lossy_saves=6)
    assert not some.saves_differ
    assert loss_rate(some, 0.95).estimate == 6 / 500


def test_the_test_for_differing_saves_rarely_errs() -> None:
    """10,000 campaigns whose loads are independent: called different in at most 5 %."""
    import random

    rng = random.Random(1)
    called = 0
    for _ in range(10_000):
        trials = lost = first_loads = first_losses = saves = lossy = 0
        while trials < 100:
            saves += 1
            for load in range(min(25, 100 - trials)):
                loss = rng.random() < 0.05
                trials += 1
                lost += loss
                first_loads += load == 0
                first_losses += loss and load == 0
                lossy += loss
                if loss:
                    break
        called += Losses(trials, lost, 0, first_loads, first_losses, saves, lossy).saves_differ
    assert called <= 0.05 * 10_000 * 1.1


def test_no_trials_say_nothing() -> None:
    rate = loss_rate(Losses(0, 0), 0.95)
    assert (rate.low, rate.high, rate.estimate) == (0, 1, None)
    assert math.isclose(loss_rate(Losses(299, 0), 0.95).high, 1 - 0.05 ** (1 / 299))


def host_with(**modules: dict[str, str]) -> object:
    from dataclasses import replace

    return replace(FACTS, kvm_modules=modules)


@pytest.mark.parametrize(
    ("modules", "state"),
    [
        ({"kvm_intel": {"enable_apicv": "Y"}}, ExposureState.EXPOSED),
        ({"kvm_intel": {"enable_apicv": "1"}}, ExposureState.EXPOSED),
        ({"kvm_intel": {"enable_apicv": "N"}}, ExposureState.NOT_EXPOSED),
        ({"kvm_intel": {}}, ExposureState.UNKNOWN),
        ({"kvm_amd": {"avic": "Y"}}, ExposureState.NOT_EXPOSED),
        ({"kvm_pvm": {}}, ExposureState.NOT_EXPOSED),
        ({}, ExposureState.UNKNOWN),
    ],
)
def test_exposure(modules: dict[str, dict[str, str]], state: ExposureState) -> None:
    facts = host_with(**modules)
    assert exposure(facts, Accel.KVM, TimerMode.ONE_SHOT).state is state  # type: ignore[arg-type]
    if state is ExposureState.EXPOSED:
        for mode in (TimerMode.PERIODIC, TimerMode.TSC_DEADLINE):
            other = exposure(facts, Accel.KVM, mode)  # type: ignore[arg-type]
            assert other.state is ExposureState.UNKNOWN
    tcg = exposure(facts, Accel.TCG, TimerMode.ONE_SHOT)  # type: ignore[arg-type]
    assert tcg.state is ExposureState.NOT_EXPOSED


def test_the_trace_corrects_the_parameter() -> None:
    heard = "# events: kvm/kvm_apic_accept_irq"
    accepted = f"{heard} kvm/kvm_apicv_accept_irq\n" + "kvm_apic_accept_irq: apicid 0 vec 64\n" * 3
    deaf = f"{heard}\n" + "kvm_apic_accept_irq: apicid 0 vec 64\n" * 3
    assert refine(EXPOSED, deaf) == EXPOSED
    assert refine(EXPOSED, accepted).state is ExposureState.NOT_EXPOSED
    posted = accepted + "kvm_apicv_accept_irq: apicid 0 vec 64\n"
    assert refine(EXPOSED, posted).state is ExposureState.EXPOSED
    assert refine(EXPOSED, None) == EXPOSED
    assert refine(NOT_EXPOSED, posted) == NOT_EXPOSED
