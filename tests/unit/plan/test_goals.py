from hypothesis import given
from hypothesis import strategies as st

from orchestrator.plan.goals import Goals
from orchestrator.stats.rate import Losses, loss_rate


@given(st.integers(1, 3000), st.floats(0.001, 0.5), st.floats(0.6, 0.999))
def test_the_planned_trials_are_just_enough(_: int, rule_out: float, confidence: float) -> None:
    limits = Goals(rule_out=rule_out, confidence=confidence)
    assert loss_rate(Losses(limits.needed, 0), confidence).high <= rule_out * (1 + 1e-9)
    if limits.needed > 1:
        assert loss_rate(Losses(limits.needed - 1, 0), confidence).high > rule_out * (1 - 1e-9)
