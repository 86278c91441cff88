import pytest

from orchestrator.trial.guest_clock import GuestClock, Reading, cycles_between

HZ_PER_NS = 2.0
MS = 1_000_000


def reading(tsc_ms: float, at_ms: float) -> Reading:
    """A TSC that was read at a moment by the TSC, and whose line arrived at another."""
    return Reading(int(tsc_ms * MS * HZ_PER_NS), int(at_ms * MS))


def clock(*delays_ms: float) -> GuestClock:
    """A clock that has heard a tick every 100 ms, whose lines arrived late by so much."""
    heard = GuestClock()
    for number, delay in enumerate(delays_ms):
        heard.hear(reading(100 * number, 100 * number + delay))
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
    heard = reading(tsc_ms, arrived_ms)
    off_ns = clock(80, 32, 250).off_ns(heard, int((arrived_ms - 500) * MS), HZ_PER_NS)
    assert off_ns / MS == pytest.approx(off_ms, abs=1)


def test_a_clock_that_has_heard_nothing_ties_nothing() -> None:
    heard = GuestClock()
    assert not heard.tied
    assert heard.off_ns(reading(7, 0), 0, HZ_PER_NS) == 0
    heard.hear(reading(0, 0))
    assert heard.tied
    heard.restart()
    assert not heard.tied


def test_cycles_between_values_of_a_tsc_that_wrapped() -> None:
    assert cycles_between(2**64 - 3, 4) == 7
    assert cycles_between(4, 2**64 - 3) == -7


@pytest.mark.parametrize(("tsc_ms", "off_ms"), [(1175, 0), (1400, 289)])
def test_a_few_lines_that_all_arrived_late_make_no_jump(tsc_ms: float, off_ms: float) -> None:
    """The clock had its first value no earlier than 1000 ms, and the next lines come at once."""
    heard = GuestClock()
    heard.restart(anchor=reading(1000, 1000))
    for at_ms in (1010, 1030):
        heard.hear(reading(at_ms, 1121))
    assert heard.off_ns(reading(tsc_ms, 1202), 1170 * MS, HZ_PER_NS) == off_ms * MS
