from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from orchestrator.stats.stopping import FALSE_DIAGNOSIS, Advice, StoppingRule, losses_to_be_sure

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
    """A campaign that goes on after `enough` has enough losses at its end, too."""
    rule, lost, ended = StoppingRule(planned, stop_after), 0, False
    for trials, loss in enumerate(losses[:planned], start=1):
        lost += loss
        ended |= rule.ask(trials, lost) is Advice.ENOUGH_LOSSES
    assert ended == (rule.ask(0, lost) is Advice.ENOUGH_LOSSES)
    assert not ended or lost >= losses_to_be_sure(planned, 0.05)
