import pytest

from orchestrator.findings.arrival import Arrival
from orchestrator.guest.lines import Tick
from orchestrator.trial.guest_clock import GuestClock, cycles_between

HZ_PER_NS = 2.0
MS = 1_000_000


def tick(at_ms: float) -> Tick:
    """A tick at a moment by the TSC."""
    return Tick(1, 0, int(at_ms * MS * HZ_PER_NS), 0, 2)


def clock(*delays_ms: float) -> GuestClock:
    """A clock that has heard a tick every 100 ms, whose lines arrived late by so much."""
    heard = GuestClock()
    for number, delay in enumerate(delays_ms):
        heard.hear(tick(100 * number), int((100 * number + delay) * MS))
    return heard


@pytest.mark.parametrize(
    ("tsc_ms", "arrived_ms", "off_ms"),
    [
        (1000, 1000, 0),
        (1000, 1400, 0),  # the host stalled: a line may come late, and the load took long
        (1000, 1700, -168),  # the TSC stood still before the load began
        (6000, 1000, 5032),
        (1000 - 5000, 1000, -4468),
    ],
)
def test_a_tsc_that_leaves_the_hosts_clock(tsc_ms: float, arrived_ms: float, off_ms: float) -> None:
    """The load begins 500 ms before the line arrives; the least delayed line came 32 ms late."""
    heard = Arrival(tick(tsc_ms), int(arrived_ms * MS))
    off_ns = clock(80, 32, 250).off_ns(heard, int((arrived_ms - 500) * MS), HZ_PER_NS)
    assert off_ns / MS == pytest.approx(off_ms, abs=1)


def test_a_clock_that_has_heard_nothing_ties_nothing() -> None:
    heard = GuestClock()
    assert not heard.tied
    assert heard.off_ns(Arrival(tick(7), 0), 0, HZ_PER_NS) == 0
    heard.hear(tick(0), 0)
    assert heard.tied
    heard.restart()
    assert not heard.tied


def test_cycles_between_values_of_a_tsc_that_wrapped() -> None:
    assert cycles_between(2**64 - 3, 4) == 7
    assert cycles_between(4, 2**64 - 3) == -7
