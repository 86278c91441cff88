"""The window of the built-in control, for each timer and period."""

import pytest

from orchestrator.timers.registry import TIMERS
from orchestrator.trial.limits import Limits

PERIODS_MS = (1, 2.5, 3, 5, 6, 7, 8, 9, 10, 20, 50, 100, 1000)


@pytest.mark.parametrize(
    ("modes", "least"), [(("one-shot", "tsc-deadline"), 6), (("periodic", "pit", "rtc"), 3)]
)
@pytest.mark.parametrize(("period_ms", "periods"), [(1, 120), (5, 24), (7, 18), (20, 6), (100, 2)])
def test_it_is_as_long_on_a_short_period_as_on_a_long_one(
    modes: tuple[str, ...], least: int, period_ms: int, periods: int
) -> None:
    for timer in (TIMERS[mode] for mode in modes):
        window = max(least, periods)
        assert timer.control_periods(period_ms * 1_000_000) == window
        assert timer.control_periods(period_ms * 1_000_000, 4) == 4 * window


@pytest.mark.parametrize("period_ms", PERIODS_MS)
def test_what_is_left_at_the_save_ends_before_the_guest_is_asked(period_ms: float) -> None:
    """Also if the guest takes half as long again as usual: it counts its own progress."""
    limits = Limits(int(period_ms * 1e6))
    untouched_ns = limits.silence_ns + limits.confirm_ns + limits.untouched_ns
    _, most, _ = limits.control_left(goes_on=True, qemus=False)
    assert 1.5 * (most + 1) * limits.period_ns < untouched_ns
    # Five looks come before a guest is asked to testify.
    for qemus in (False, True):
        _, most, _ = limits.control_left(goes_on=False, qemus=qemus)
        assert 1.5 * most * limits.period_ns < untouched_ns + 5 * limits.look_ns


@pytest.mark.parametrize("period_ms", PERIODS_MS)
def test_a_timer_of_qemu_s_is_silent_for_long_enough_to_prove_it(period_ms: float) -> None:
    """The count of silence begins after two periods, and QEMU's answer ends it."""
    limits = Limits(int(period_ms * 1e6))
    least, *_ = limits.control_left(goes_on=True, qemus=True)
    assert least * limits.period_ns > 3 * limits.period_ns + limits.silence_ns + limits.confirm_ns


@pytest.mark.parametrize("period_ms", PERIODS_MS)
@pytest.mark.parametrize("reloads", [False, True])
@pytest.mark.parametrize("qemus", [False, True])
def test_what_may_be_left_gives_a_busy_host_room(
    period_ms: float, *, reloads: bool, qemus: bool
) -> None:
    """The rest that may be left passes while a host runs other programs for 30 ms."""
    limits = Limits(int(period_ms * 1e6))
    least, _, most = limits.control_left(goes_on=reloads, qemus=qemus)
    assert most - least >= 4
    assert (most - least) * limits.period_ns >= 30_000_000
