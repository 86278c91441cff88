import math

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.stats.bounds import ruled_out, trials_needed


@given(st.integers(1, 10**6), st.floats(0.51, 0.9999))
def test_what_is_ruled_out_takes_just_so_many(trials: int, confidence: float) -> None:
    rate = ruled_out(trials, confidence)
    assert trials_needed(rate * (1 + 1e-9), confidence) <= trials
    assert math.isclose(math.exp(trials * math.log1p(-rate)), 1 - confidence, rel_tol=1e-6)
