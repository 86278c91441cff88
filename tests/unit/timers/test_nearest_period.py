"""The period nearest to a wanted one that a timer can have."""

import pytest

from orchestrator.timers.registry import TIMERS


@pytest.mark.parametrize(
    ("mode", "wanted_ms", "expected_ms"),
    [
        ("one-shot", 200, 200),
        ("tsc-deadline", 4294, 4294),
        ("pit", 20, 20),
        ("pit", 200, 54),
        ("rtc", 200, 125),
        ("rtc", 125, 125),
        ("rtc", 124.9, 62.5),
        ("rtc", 1, 1.953125),
        ("rtc", 4000, 500),
    ],
)
def test_the_nearest_period(mode: str, wanted_ms: float, expected_ms: float) -> None:
    assert TIMERS[mode].nearest_period_ns(round(wanted_ms * 1e6)) == expected_ms * 1e6
