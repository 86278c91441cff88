"""The window of the built-in control, for each timer and period."""

import pytest

from orchestrator.timers.registry import TIMERS
from orchestrator.trial.limits import Limits

PERIODS_MS = (1, 2.5, 3, 5, 6, 7, 8, 9, 10, 20, 50, 100, 1000)


@pytest.mark.parametrize("mode", ["one-shot", "tsc-deadline"])
@pytest.mark.parametrize(("period_ms", "periods"), [(1, 120), (5, 24), (7, 18), (20, 6), (100, 6)])
def test_it_is_as_long_on_a_short_period_as_on_a_long_one(
    mode: str, period_ms: int, periods: int
) -> None:
    timer = TIMERS[mode]
    assert timer.control_periods(period_ms * 1_000_000) == periods
    assert timer.control_periods(period_ms * 1_000_000, 4) == 4 * periods


@pytest.mark.parametrize("period_ms", PERIODS_MS)
def test_a_periodic_timer_ticks_again_before_it_counts_as_silent(period_ms: float) -> None:
    period_ns = int(period_ms * 1e6)
    window = TIMERS["periodic"].control_periods(period_ns)
    assert window >= 3
    assert window == TIMERS["periodic"].control_periods(period_ns, 4)
    assert (window + 1) * period_ns < Limits(period_ns).silence_ns
