import random

import pytest

from orchestrator.trial.stop_delay import WINDOW, StopDelay


def test_the_first_stop_is_believed() -> None:
    delay = StopDelay()
    assert delay.ns == 0
    delay.observe(300_000)
    assert delay.ns == 300_000
    delay.observe(0)  # it landed where it was aimed
    assert delay.ns == 300_000


def test_a_stop_of_a_stalled_host_does_not_spoil_the_aim() -> None:
    delay = StopDelay()
    for _ in range(WINDOW):
        delay.observe(0 if delay.ns else 200_000)
    delay.observe(9_000_000)
    delay.observe(-8_000_000)
    assert delay.ns == 200_000


def test_a_lasting_change_is_followed() -> None:
    delay, true_ns = StopDelay(), 100_000
    for number in range(4 * WINDOW):
        true_ns = 100_000 if number < 2 * WINDOW else 1_500_000
        delay.observe(true_ns - delay.ns)
    assert delay.ns == 1_500_000


@pytest.mark.parametrize("stalls", [0.0, 0.3])
def test_most_stops_land_in_the_middle_of_the_period(stalls: float) -> None:
    """Stops that are late by 1 ms, with stalls of up to 10 ms; 20 ms is the period."""
    rng = random.Random(3)
    delay, hits = StopDelay(), 0
    for _ in range(400):
        true_ns = 1e6 + (rng.uniform(3e6, 1e7) if rng.random() < stalls else rng.gauss(0, 2e5))
        hits += abs(true_ns - delay.ns) < 3e6
        delay.observe(true_ns - delay.ns)
    assert hits / 400 > 0.97 * (1 - stalls)
