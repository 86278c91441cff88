import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from orchestrator.campaign.statistics import loss_rate
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
    exposed: Exposure = EXPOSED,
) -> Verdict:
    tally = Tally(
        Counter(outcomes), Counter(causes or {}), sum(outcomes.values()) + unknown_attempts,
        unknown_attempts, controls_seen, 2,
    )  # fmt: skip
    rate = loss_rate(
        tally.outcomes[Outcome.LOST], tally.outcomes[Outcome.UNKNOWN], tally.trials, 0.95
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
    assert loss_rate(0, 0, limits.needed, confidence).high <= rule_out * (1 + 1e-9)
    if limits.needed > 1:
        assert loss_rate(0, 0, limits.needed - 1, confidence).high > rule_out * (1 - 1e-9)


@given(st.integers(1, 400), st.data())
def test_the_interval_is_exact(trials: int, data: st.DataObject) -> None:
    """At either end, what was seen has just the probability that was allowed for."""
    losses = data.draw(st.integers(0, trials))
    rate = loss_rate(losses, 0, trials, 0.95)
    tail = 0.05 if losses == 0 else 0.025
    assert rate.low <= losses / trials <= rate.high
    if losses < trials:
        assert binom.cdf(losses, trials, rate.high) == pytest.approx(tail, rel=1e-6)
    if losses:
        assert binom.sf(losses - 1, trials, rate.low) == pytest.approx(tail, rel=1e-6)


def test_no_trials_say_nothing() -> None:
    rate = loss_rate(0, 0, 0, 0.95)
    assert (rate.low, rate.high, rate.estimate) == (0, 1, None)
    assert math.isclose(loss_rate(0, 0, 299, 0.95).high, 1 - 0.05 ** (1 / 299))


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
    tcg = exposure(facts, Accel.TCG, TimerMode.ONE_SHOT)  # type: ignore[arg-type]
    assert tcg.state is ExposureState.NOT_EXPOSED


def test_the_trace_corrects_the_parameter() -> None:
    accepted = "kvm_apic_accept_irq: apicid 0 vec 64\n" * 3
    assert refine(EXPOSED, accepted).state is ExposureState.NOT_EXPOSED
    posted = accepted + "kvm_apicv_accept_irq: apicid 0 vec 64\n"
    assert refine(EXPOSED, posted).state is ExposureState.EXPOSED
    assert refine(EXPOSED, None) == EXPOSED
    assert refine(NOT_EXPOSED, posted) == NOT_EXPOSED
