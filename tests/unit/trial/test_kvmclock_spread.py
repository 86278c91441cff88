"""The kvmclocks of several vCPUs, compared by the TSC."""

import pytest

from orchestrator.guest.lines import Tick
from orchestrator.trial.kvmclock_spread import KvmclockSpread
from orchestrator.trial.pace import Paces

RATE = 2.0
MS = 1_000_000


def tick(at_ms: float, off_ms: float = 0.0) -> Tick:
    """A tick whose kvmclock is 7 s behind its TSC, and `off_ms` more."""
    kvmclock_ns = int((at_ms + off_ms) * MS)
    return Tick(1, 0, int((at_ms + 7000) * MS * RATE), 0, 2, kvmclock_ns=kvmclock_ns)


@pytest.mark.parametrize(
    ("off_ms", "apart_ms"), [(0, 0), (0.05, 0), (-0.05, 0), (0.2, 0.2), (-0.2, -0.2), (500, 500)]
)
def test_a_kvmclock_beside_that_of_another_vcpu(off_ms: float, apart_ms: float) -> None:
    spread = KvmclockSpread()
    assert spread.apart_ns(0, tick(100), RATE) == 0
    assert spread.apart_ns(0, tick(120), RATE) == 0
    assert spread.apart_ns(1, tick(125, off_ms), RATE) / MS == pytest.approx(apart_ms)


def test_how_far_kvmclocks_are_apart_without_a_load_is_usual() -> None:
    spread = KvmclockSpread()
    spread.learn(0, tick(100), RATE)
    spread.learn(1, tick(105, 3), RATE)
    spread.restart()
    assert spread.apart_ns(0, tick(200), RATE) == 0
    assert spread.apart_ns(1, tick(205, 3), RATE) == 0
    assert spread.apart_ns(1, tick(205, 4), RATE) / MS == pytest.approx(4)


def test_what_an_unloaded_guest_shows_is_usual_for_the_loaded_one() -> None:
    loaded, unloaded = Paces(2), Paces(2)
    spread = unloaded[0].clocks.spread
    spread.learn(0, tick(100), RATE)
    spread.learn(1, tick(105, 3), RATE)
    loaded.learn_clocks(unloaded)
    spread = loaded[0].clocks.spread
    assert spread.apart_ns(0, tick(200), RATE) == 0
    assert spread.apart_ns(1, tick(205, 3), RATE) == 0
    assert spread.apart_ns(1, tick(205, 4), RATE) / MS == pytest.approx(4)


def test_ticks_from_before_a_load_are_not_compared() -> None:
    """A load may restore kvmclock while the TSC goes on."""
    spread = KvmclockSpread()
    spread.resume(1)
    spread.apart_ns(1, tick(100), RATE)
    spread.resume(2)
    assert spread.apart_ns(0, tick(150, -40), RATE) == 0
    spread.resume(2)
    assert spread.apart_ns(1, tick(155, -40), RATE) == 0


def test_without_synchronised_tscs_kvmclocks_are_not_compared() -> None:
    spread = KvmclockSpread(synchronised=False)
    spread.apart_ns(0, tick(100), RATE)
    assert spread.apart_ns(1, tick(105, 3), RATE) == 0


def test_a_guest_without_kvmclock() -> None:
    spread = KvmclockSpread()
    bare = Tick(1, 0, 5, 0, 2)
    assert spread.apart_ns(0, bare, RATE) == spread.apart_ns(1, bare, RATE) == 0
