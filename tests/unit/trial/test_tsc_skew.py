"""Bounds on how far the TSCs of vCPUs are apart, before and after a load."""

import random

import pytest

from orchestrator.guest.lines import Tick
from orchestrator.trial.pace import Paces
from orchestrator.trial.tsc_skew import MOST, TOLERANCE_NS, TscSkew

RATE = 2.0


def tick(ahead: int | None) -> Tick:
    return Tick(1, 0, 0, 0, 2, ahead=ahead)


def hear(skew: TscSkew, *bounds: int | None) -> None:
    """Hear a line of each vCPU."""
    for vcpu, ahead in enumerate(bounds):
        skew.hear(vcpu, tick(ahead))


def heard(before: tuple[int | None, ...], after: tuple[int | None, ...]) -> TscSkew:
    skew = TscSkew(len(before))
    hear(skew, *before)
    skew.resume(1, RATE, loaded=True)
    hear(skew, *after)
    return skew


@pytest.mark.parametrize(
    ("before", "after", "moved_ns"),
    [
        ((4_000, 5_000), (900_000, 5_000), 0),
        ((4_000, 5_000), (-16_000, 25_000), 5_500),
        ((4_000, 5_000), (24_000, -15_000), 5_500),
        # They were apart before the load: only what it changed counts.
        ((904_000, -895_000), (-10_000, 25_000), 452_500),
        ((904_000, -895_000), (906_000, -894_000), 0),
        # The vCPUs did not run at the same time: the bounds are wide.
        ((400_000, 25_000), (-16_000, 700_000), 0),
        # Of three vCPUs, the second one is ahead of both others.
        ((4_000, 5_000, 5_000), (-26_000, 35_000, 5_000), 8_000),
        ((4_000, 5_000, None), (-26_000, 35_000, None), 0),
        ((4_000, 5_000), (-5_000 - round(RATE * TOLERANCE_NS), 30_000), 0),
        ((4_000, 5_000), (-MOST - 1, 5_000), 0),
        # At 3 GHz, one TSC went on for 5 minutes.
        ((4_000, 5_000), (-9 * 10**11, 9 * 10**11), 4.5e11 - 2_500),
    ],
)
def test_how_far_tscs_moved_apart(
    before: tuple[int | None, ...], after: tuple[int | None, ...], moved_ns: float
) -> None:
    assert heard(before, after).moved_ns(RATE) == moved_ns


def test_bounds_from_before_a_load_accuse_no_load() -> None:
    skew = TscSkew(2)
    hear(skew, 4_000, 5_000)
    hear(skew, -50_000, 60_000)
    assert skew.moved_ns(RATE) == 0
    skew.resume(1, RATE, loaded=True)  # on this host they move apart by themselves
    hear(skew, -90_000, 90_000)
    assert skew.moved_ns(RATE) == 0
    skew.restart()
    hear(skew, 4_000, 5_000)
    skew.resume(2, RATE, loaded=True)
    assert skew.moved_ns(RATE) == 0
    hear(skew, -50_000, 60_000)
    assert skew.moved_ns(RATE) > 0


@pytest.mark.parametrize(("drift", "moved"), [(500, False), (20_000, True)])
def test_a_slow_drift_is_no_step_at_a_load(drift: int, moved: bool) -> None:
    """All vCPUs report after each load, and the second one's TSC falls behind."""
    skew = TscSkew(2)
    hear(skew, 4_000, 5_000)
    for load in range(1, 50):
        skew.resume(load, RATE, loaded=True)
        hear(skew, 4_000 + load * drift, 5_000 - load * drift)
        assert (skew.moved_ns(RATE) > 0) is moved


def test_each_vcpu_of_a_load_says_that_the_guest_resumed() -> None:
    skew = TscSkew(2)
    hear(skew, 4_000, 5_000)
    for vcpu, ahead in enumerate((-50_000, 60_000)):
        skew.resume(1, RATE, loaded=True)
        skew.hear(vcpu, tick(ahead))
    assert skew.moved_ns(RATE) > 0


def test_a_vcpu_without_a_bound_keeps_that_from_before() -> None:
    skew = TscSkew(2)
    hear(skew, 4_000, 5_000)
    skew.resume(1, RATE, loaded=True)
    hear(skew, 4_000, None)
    skew.resume(2, RATE, loaded=True)
    hear(skew, -50_000, 60_000)
    assert skew.moved_ns(RATE) > 0


@pytest.mark.parametrize("loaded", [False, True])
def test_tscs_that_move_apart_at_a_sham_accuse_no_later_load(loaded: bool) -> None:
    skew = TscSkew(2)
    hear(skew, 4_000, 5_000)
    skew.resume(1, RATE, loaded=True)
    hear(skew, 4_000, 5_000)
    skew.resume(2, RATE, loaded=loaded)
    hear(skew, -50_000, 60_000)
    assert (skew.moved_ns(RATE) > 0) is loaded
    skew.resume(3, RATE, loaded=True)
    hear(skew, 60_000, -50_000)
    assert (skew.moved_ns(RATE) > 0) is loaded


@pytest.mark.parametrize("wander", [False, True])
def test_tscs_that_move_apart_in_a_guest_that_is_never_loaded_accuse_no_load(
    *, wander: bool
) -> None:
    loaded, unloaded = Paces(2), Paces(2)
    skew = unloaded[0].clocks.skew
    for resumed in (1, 2):
        hear(skew, 4_000, 5_000)
        skew.resume(resumed, RATE, loaded=False)
    if wander:
        hear(skew, -50_000, 60_000)
    skew.resume(3, RATE, loaded=False)
    skew = loaded[0].clocks.skew
    hear(skew, 4_000, 5_000)
    loaded.learn_clocks(unloaded)
    skew.resume(4, RATE, loaded=True)
    hear(skew, -50_000, 60_000)
    assert (skew.moved_ns(RATE) == 0) is wander


def test_no_load_is_accused_on_a_host_whose_kernel_does_not_rely_on_its_tscs() -> None:
    skew = TscSkew(2, synchronised=False)
    for load in range(2):
        skew.resume(load, RATE, loaded=True)
        hear(skew, -50_000 * load, 60_000 * load)
    skew.restart()
    hear(skew, 4_000, 5_000)
    skew.resume(7, RATE, loaded=True)
    hear(skew, -50_000, 60_000)
    assert skew.moved_ns(RATE) == 0


def test_true_bounds_never_accuse_a_load() -> None:
    """Whatever the TSCs' differences are, and however late each note is read."""
    rng = random.Random(7)
    for _ in range(2000):
        vcpus = rng.randint(2, 8)
        offsets = [rng.randint(-(10**9), 10**9) for _ in range(vcpus)]
        skew = TscSkew(vcpus)
        for line in range(4):
            hear(skew, *(
                offsets[vcpu] - offsets[(vcpu + 1) % vcpus] + int(rng.expovariate(1e-5))
                for vcpu in range(vcpus)
            ))  # fmt: skip
            if line == 1:
                skew.resume(1, RATE, loaded=True)
        assert skew.moved_ns(RATE) == 0
