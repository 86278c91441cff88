"""Whether a timer period suits a host, from what was measured at it."""

from dataclasses import replace

import pytest

from orchestrator.findings.period import PeriodTried, gap_error, in_words, stop_error

GOOD = PeriodTried(10_000_000, printing=0.25, gap_error=0.1, stop_error=0.1, gaps=24, stops=20)


def test_values_at_the_limits_are_good() -> None:
    assert GOOD.why_not == ""


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"printing": 0.251}, "printing takes 0.25 periods"),
        ({"gap_error": 0.11}, "ordinary ticks come up to 0.11 periods late"),
        ({"stop_error": 0.11}, "stops land up to 0.11 periods from their aim"),
        ({"stop_error": None}, "not everything was measured"),
        ({"gap_error": 0.3, "stop_error": None}, "ordinary ticks come up to 0.30 periods late"),
        ({"failed": "no tick in 40 ms of vCPU time"}, "no tick in 40 ms of vCPU time"),
    ],
)
def test_each_limit_is_one(fields: dict[str, object], words: str) -> None:
    assert replace(GOOD, **fields).why_not == words  # type: ignore[arg-type]  # a table of fields


def test_quantiles() -> None:
    """Two of 20 stops may miss their aim; none of some tens of gaps may be long."""
    assert stop_error([0.0] * 18 + [0.9, -0.9]) == 0.0
    assert stop_error([0.0] * 17 + [0.9, -0.8, 0.7]) == 0.7
    assert stop_error([-0.2]) == 0.2
    assert gap_error([0.0] * 23 + [0.5]) == 0.5
    assert gap_error([0.0] * 99 + [0.5]) == 0.0


def test_the_choice_in_words() -> None:
    slow = replace(GOOD, period_ns=5_000_000, printing=0.4)
    assert in_words(10_000_000, [GOOD]) == "the timer period is 10 ms"
    assert in_words(10_000_000, [slow, GOOD]) == (
        "the timer period is 10 ms (at 5 ms printing takes 0.40 periods)"
    )
    assert in_words(100_000_000, [slow, replace(slow, period_ns=50_000_000, printing=0.3)]) == (
        "the timer period is 100 ms, the longest, because the host is busy "
        "(at 50 ms printing takes 0.30 periods)"
    )
