import pytest

from orchestrator.guest.lines import Tick
from orchestrator.trial.pace import Pace


def tick(sequence: int, tsc: int, spins: int, print_cycles: int = 0) -> Tick:
    return Tick(sequence, spins, tsc, print_cycles, sequence + 1)


def test_pace_allows_for_printing() -> None:
    """Half of each period is printing: the spins of a quiet period are twice those counted."""
    pace = Pace()
    for n in range(5):
        pace.observe(tick(n, n * 1000, 50), tick(n + 1, (n + 1) * 1000, 50, print_cycles=500))
    assert pace.known
    assert pace.progress_per_period == pytest.approx(100)
    assert pace.printing_periods == pytest.approx(0.5)


def test_pace_is_not_pulled_down_by_other_load() -> None:
    pace = Pace()
    for n in range(20):
        spins = 100 if n % 5 == 0 else 40
        pace.observe(tick(n, n * 1000, 0), tick(n + 1, (n + 1) * 1000, spins))
    assert pace.progress_per_period == pytest.approx(100)


def test_one_line_that_a_busy_host_held_up_moves_no_phase() -> None:
    pace = Pace()
    for n in range(9):
        pace.observe(tick(n, n * 1000, 0), tick(n + 1, (n + 1) * 1000, 90, print_cycles=100))
    pace.observe(tick(9, 9000, 0), tick(10, 10000, 40, print_cycles=600))
    assert pace.printing_periods == pytest.approx(0.1)


def test_pace_ignores_ticks_that_are_not_neighbours() -> None:
    pace = Pace()
    for n in range(5):
        pace.observe(tick(n, 0, 0), tick(n + 2, 1000, 50))
        pace.observe(tick(n, 1000, 0), tick(n + 1, 0, 50))  # the TSC went back
    assert not pace.known


def test_time_that_was_stolen_does_not_slow_the_pace() -> None:
    """The vCPU runs for a tenth to a half of each gap, and learns its free rate."""
    pace = Pace()
    pace.known_cycles = 1000
    for n in range(9):
        ran = 100 * (1 + n % 5)
        after = Tick(n + 1, ran // 10, 3000 * (n + 1), 0, n + 2, stolen=3000 - ran)
        pace.observe(tick(n, 3000 * n, 0), after)
    assert pace.known
    assert pace.progress_per_period == pytest.approx(100)


def test_the_period_is_never_learnt_from_ticks_if_it_is_known() -> None:
    pace = Pace()
    pace.known_cycles = 1000
    for n in range(9):
        pace.observe(tick(n, n * 500, 0), tick(n + 1, (n + 1) * 500, 50))
    assert pace.cycles_per_period == 1000


def test_printing_that_was_held_up_is_stolen_time() -> None:
    pace = Pace()
    for n in range(9):
        pace.observe(tick(n, n * 1000, 0), tick(n + 1, (n + 1) * 1000, 90, print_cycles=100))
    held_up = Tick(10, 40, 10000, 600, 11, stolen=70)
    assert pace.stolen_cycles(held_up) == 570
