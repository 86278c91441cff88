"""The rate of a host's clock."""

import pytest

from orchestrator.clock import ClockMark, LocalClock


class Corrected(LocalClock):
    """A clock whose rate is corrected by a fraction."""

    def __init__(self, by: float) -> None:
        self.by, self.passed_ns = by, 0

    def now_ns(self) -> int:
        return int(self.passed_ns * (1 + self.by))

    def uncorrected_ns(self) -> int:
        return self.passed_ns


@pytest.mark.parametrize("by", [0.0, 0.0005, -0.0005, 0.004])
def test_the_usual_correction_is_none(by: float) -> None:
    clock = Corrected(by)
    mark = ClockMark.read(clock)
    clock.passed_ns += 3_000_000_000
    assert mark.slewed(clock) == 0


@pytest.mark.parametrize("by", [0.01, 0.083, -0.083])
def test_a_large_correction_is_told_with_its_direction(by: float) -> None:
    clock = Corrected(by)
    mark = ClockMark.read(clock)
    clock.passed_ns += 200_000_000
    assert mark.slewed(clock) == pytest.approx(by, rel=0.01)


def test_this_computers_clock_runs_at_its_own_rate() -> None:
    clock = LocalClock()
    mark = ClockMark.read(clock)
    assert mark.slewed(clock) == 0
    assert ClockMark.read(clock).uncorrected_ns > mark.uncorrected_ns
