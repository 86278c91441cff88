import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.stats.sequence import confidence_sequence, evidence_against

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
