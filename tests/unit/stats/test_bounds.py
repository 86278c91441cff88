import math
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaincinv

from orchestrator.stats.bounds import exact_high, exact_low, ruled_out, trials_needed


@given(st.integers(1, 10**6), st.floats(0.51, 0.9999))
def test_what_is_ruled_out_takes_just_so_many(trials: int, confidence: float) -> None:
    rate = ruled_out(trials, confidence)
    assert trials_needed(rate * (1 + 1e-9), confidence) <= trials
    assert math.isclose(math.exp(trials * math.log1p(-rate)), 1 - confidence, rel_tol=1e-6)


@given(st.integers(1, 10**6), st.floats(0.51, 0.9999))
def test_without_a_loss_the_exact_interval_is_what_is_ruled_out(
    trials: int, confidence: float
) -> None:
    assert exact_low(0, trials, confidence) == 0.0
    high = exact_high(0, trials, confidence)
    assert math.isclose(high, float(betaincinv(1, trials, confidence)), rel_tol=1e-9)


def test_a_run_without_losses_and_late_ticks_needs_no_scipy() -> None:
    """Its import takes as long as 50 trials."""
    code = (
        "import sys\n"
        "from orchestrator.stats.bounds import exact_high, exact_low\n"
        "from orchestrator.stats.pairs import NO_PAIRS, p_value\n"
        "from orchestrator.stats.stopping import losses_to_be_sure\n"
        "assert exact_low(0, 299, 0.95) < exact_high(0, 299, 0.95) < 0.01\n"
        "assert (p_value(NO_PAIRS), losses_to_be_sure(299, 0.05)) == (1.0, 1)\n"
        "assert 'scipy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
