import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.timers.gap import Gap, judge, lag, missing, steady_period


@pytest.mark.parametrize(
    ("gap", "outcome"),
    [
        (Gap(1.0, 0.0), None),
        (Gap(1.09, 0.0), None),
        # On a loaded host half of the gaps are longer than that by the TSC.
        (Gap(7.4, 6.5), None),
        (Gap(1.0, 0.9), None),
        (Gap(1.2, 0.0), Outcome.LATE),
        (Gap(7.4, 6.0), Outcome.LATE),
        (Gap(1.88, 0.0), Outcome.LATE),
        (Gap(1.92, 0.0), Outcome.MISSED),
        (Gap(3.0, 0.05), Outcome.MISSED),
        # The vCPU had run for a while: the tick was not waiting for it.
        (Gap(1.4, 0.6, ran_last=0.15), Outcome.LATE),
        (Gap(1.4, 0.6, ran_last=0.05), None),
        (Gap(1.05, 0.6, ran_last=0.15), None),
        (Gap(3.0, 1.8, ran_last=0.15), Outcome.MISSED),
        # Nothing makes the time between two ticks shorter.
        (Gap(0.98, 0.0), None),
        (Gap(0.96, 0.0), Outcome.EXTRA),
        (Gap(0.4, 0.3), Outcome.EXTRA),
        (Gap(0.12, 0.0), Outcome.EXTRA),
        # A timer that runs by itself: the tick before was late.
        (Gap(0.4, 0.0, held_back=0.6), None),
        (Gap(0.4, 0.0, held_back=0.5), Outcome.EXTRA),
        # Lines are missing.
        (Gap(2.0, 0.0, ticks=2), None),
        (Gap(1.2, 0.0, ticks=2), Outcome.EXTRA),
        (Gap(2.5, 0.0, ticks=2), Outcome.LATE),
    ],
)
def test_gaps(gap: Gap, outcome: Outcome | None) -> None:
    assert judge(gap) is outcome


@pytest.mark.parametrize(
    ("late", "periods"), [(0.1, 0), (0.89, 0), (0.9, 1), (1.05, 1), (1.8, 1), (2.0, 2), (9.95, 10)]
)
def test_missing_periods(late: float, periods: int) -> None:
    assert missing(late) == periods


def gaps(*periods: float, stolen: float = 0.0) -> list[Gap]:
    return [Gap(each + stolen, stolen) for each in periods]


@pytest.mark.parametrize("reloads", [False, True])
@pytest.mark.parametrize(
    ("seen", "period"),
    [
        (gaps(0.5, 0.5, 0.51, 0.5), 0.5),
        (gaps(1.5, 1.5, 1.5, 1.52), 1.5),
        (gaps(1.5, 1.5, 1.5, 1.5, stolen=0.4), 1.5),
        ([Gap(2.0, 1.1, ran_last=0.2)] * 4, 2.0),
        # Three that are wrong by themselves are enough, with a fourth that agrees.
        ([*gaps(0.5, 0.5, 0.5), Gap(1.0, 0.6)], 0.5),
        ([*gaps(0.5, 0.5), Gap(1.0, 0.6), Gap(1.0, 0.6)], None),
        # Every other line is missing.
        ([Gap(3.0, 0.0, ticks=2)] * 4, 1.5),
        ([Gap(1.8 * 1.5, 0.0, usual=1.8)] * 4, 1.5),
        # One wrong tick among right ones is no rate, on a busy host either.
        (gaps(0.4, 0.6, 1.0, 1.0), None),
        (gaps(1.5, 1.0, 1.0, 1.0), None),
        (gaps(0.4, 1.0, 1.0, 1.0, stolen=0.2), None),
        # Too few to tell.
        (gaps(0.5, 0.5), None),
    ],
)
def test_a_wrong_rate_needs_ticks_that_agree(
    seen: list[Gap], period: float | None, *, reloads: bool
) -> None:
    found = steady_period(seen, reloads=reloads)
    assert found is None if period is None else found == pytest.approx(period, abs=0.03)


def test_the_rate_of_a_timer_that_runs_by_itself_on_a_busy_host() -> None:
    """Each tick may be late by the time for which the vCPU waited before it."""
    seen = [Gap(0.7, 0.2), Gap(0.3, 0.0, 0.2), Gap(0.5, 0.0), Gap(0.9, 0.4), Gap(0.1, 0.0, 0.4)]
    found = steady_period(seen, reloads=True)
    assert found == pytest.approx(0.5)


def test_the_ticks_of_a_timer_that_catches_up_after_a_wait() -> None:
    """Five ticks fell into the wait. The sixth short gap has no reason."""
    gap = Gap(5.5, 5.0)
    for _ in range(5):
        gap = Gap(0.05, 0.0, held_back=gap.behind)
        assert judge(gap) is None
    assert judge(Gap(0.05, 0.0, held_back=gap.behind)) is Outcome.EXTRA


@pytest.mark.parametrize("late", [1.0, 1.13])
def test_ticks_on_time_have_no_wrong_rate(late: float) -> None:
    """Nor have they with one among them that is a little late by itself."""
    seen = [Gap(2.1, 1.2), Gap(late, 0.0), Gap(1.2, 0.4), *gaps(1.09, 1.09)]
    assert steady_period(seen, reloads=False) is None


@pytest.mark.parametrize("first", [0.92, 1.1])
def test_late_ticks_of_a_timer_that_runs_by_itself_do_not_add_up(first: float) -> None:
    """Each may be late by a tenth of a period, and so lengthen one gap and shorten the next."""
    seen = [Gap(each, 0.0, 0.15) for each in (first, 1.11, 0.9, 1.105, 0.95, 0.96, 1.12)]
    assert steady_period(seen, reloads=False)
    assert steady_period(seen, reloads=True) is None


@pytest.mark.parametrize(
    ("periods", "stolen", "outcome"),
    [
        (1.8, 0.0, None),
        (1.0, 0.9, None),  # the guest did not get to hold it back
        (0.9, 0.0, Outcome.EXTRA),
        (2.4, 0.0, Outcome.LATE),
        (2.4, 0.6, None),
        (2.8, 0.0, Outcome.MISSED),
    ],
)
def test_a_guest_that_holds_its_ticks_back(
    periods: float, stolen: float, outcome: Outcome | None
) -> None:
    assert judge(Gap(periods, stolen, usual=1.8)) is outcome


def test_a_tick_that_was_held_back_makes_the_next_gap_short() -> None:
    """QEMU's main loop may deliver a tick late although the vCPU runs."""
    gaps = [Gap(1.0, 0.0), Gap(1.06, 0.0)]
    assert lag(gaps) == pytest.approx(0.06)
    assert judge(Gap(0.94, 0.0, held_back=lag(gaps))) is None
    assert judge(Gap(0.85, 0.0, held_back=lag(gaps))) is Outcome.EXTRA
    gaps.append(Gap(0.5, 0.0))
    assert lag(gaps) == 0.0, "a tick that came too early holds nothing back"


def test_several_ticks_may_be_as_late_as_the_first_one() -> None:
    gaps = [Gap(0.99, 0.0), Gap(1.01, 0.0)]
    assert lag(gaps) == pytest.approx(0.01)
    assert lag(gaps, 0.1) == pytest.approx(0.1)
    gaps.append(Gap(0.91, 0.0))
    assert lag(gaps, 0.1) == pytest.approx(0.01), "this one was in time"
    gaps.append(Gap(0.5, 0.0))
    assert lag(gaps, 0.1) == 0.0
