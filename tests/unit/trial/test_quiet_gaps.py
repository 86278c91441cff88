"""The times between ticks that show the timer's period."""

import pytest

from orchestrator.guest.config import GuestConfig
from orchestrator.guest.lines import Tick
from orchestrator.guest.registry import GUESTS
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.wait import Wait
from orchestrator.trial.pace import Pace
from orchestrator.trial.quiet_gaps import quiet_gaps, show_the_period
from orchestrator.vm.config import Accel, InstanceConfig

PERIOD_NS = 20_000_000
CYCLES = 40_000_000

#: TSC cycles in a millisecond.
MS = 2_000_000


def tick(
    number: int,
    at: float,
    ran_last_ms: float | None = None,
    waited_ms: float = 1,
    printed: float = 0,
) -> Tick:
    """Return a tick.

    Args:
        number: its sequence number.
        at: when it came, in periods.
        ran_last_ms: how long its vCPU had run since it had waited for a CPU; None if it had not.
        waited_ms: how long it had waited.
        printed: how long the guest had printed after the tick before, in periods.
    """
    wait = int(waited_ms * MS)
    waited = {} if ran_last_ms is None else {
        "stolen": wait, "longest": wait, "since_last": int(ran_last_ms * MS)
    }  # fmt: skip
    return Tick(number, 900, int(at * CYCLES), int(printed * CYCLES), number, **waited)


def gaps(mode: str, *ticks: Tick, known: int = CYCLES) -> tuple[float, ...]:
    pace = Pace()
    pace.known_cycles = known
    config = InstanceConfig(Accel.KVM, GuestConfig(period_ns=PERIOD_NS, mode=mode))
    return quiet_gaps(ticks, pace, config)


@pytest.mark.parametrize(
    ("mode", "ticks", "expected"),
    [
        ("one-shot", (tick(1, 0), tick(2, 1.05), tick(3, 2.1)), (1.05, 1.05)),
        # The second tick waited for its vCPU, and armed the timer when it came.
        ("one-shot", (tick(1, 0), tick(2, 1.4, 0.1), tick(3, 2.45)), (1.05,)),
        # The first tick may have waited for its vCPU, and the third one did.
        (
            "periodic",
            (tick(1, 0), tick(2, 1.05), tick(3, 2.4, 0.1), tick(4, 3.15)),
            (1.05,),
        ),
        # The vCPU had run for a while when the second tick came.
        ("one-shot", (tick(1, 0), tick(2, 1.05, 2.5)), (1.05,)),
        ("periodic", (tick(1, 0), tick(2, 1.05), tick(3, 2.1, 2.5)), (1.05,)),
        # KVM delivered the tick up to 2 ms after the vCPU's wait for a CPU.
        ("one-shot", (tick(1, 0), tick(2, 14.1, 1.3, 13 * 20)), ()),
        # The vCPU was stopped while its guest printed: the tick waited, or was armed after that.
        ("one-shot", (tick(1, 0), tick(2, 14.05, printed=14)), ()),
        ("one-shot", (tick(1, 0), tick(2, 14.05, printed=13.1)), ()),
        # Lines are missing: ticks of a vCPU that did not run may have become one.
        ("one-shot", (tick(1, 0), tick(4, 3.15)), ()),
        ("periodic", (tick(1, 0), tick(2, 1.05), tick(4, 3.15)), ()),
        # The vCPU waited for more than a period: two ticks became one.
        (
            "periodic",
            (tick(1, 0), tick(2, 1), tick(3, 3.3, 0.1, 1.2 * 20), tick(4, 4), tick(5, 5)),
            (1.0,),
        ),
        # So did a vCPU that waited while its guest printed.
        (
            "periodic",
            (tick(1, 0), tick(2, 1), tick(3, 3.06, printed=2.05), tick(4, 4), tick(5, 5)),
            (1.0,),
        ),
        # The guest still printed when the timer fired.
        (
            "periodic",
            (tick(1, 0), tick(2, 1), tick(3, 2.6, 0.1), tick(4, 3.3, printed=0.69), tick(5, 4)),
            (1.0,),
        ),
        # A load came between them.
        ("periodic", (tick(4, 0), tick(2, 1.0)), ()),
    ],
)
def test_times_between_ticks(
    mode: str, ticks: tuple[Tick, ...], expected: tuple[float, ...]
) -> None:
    assert gaps(mode, *ticks) == pytest.approx(expected)


def test_the_period_of_a_tsc_of_unknown_frequency_is_not_known() -> None:
    assert gaps("one-shot", tick(1, 0), tick(2, 1.05), known=0) == ()


@pytest.mark.parametrize(
    ("accel", "guest", "shown"),
    [
        (Accel.KVM, GuestConfig(), True),
        (Accel.TCG, GuestConfig(), False),
        (Accel.KVM, GuestConfig(wait=Wait.HALT), False),
        (Accel.KVM, GuestConfig(state=SavedState.TPR), False),
    ],
)
def test_which_guests_show_the_period(accel: Accel, guest: GuestConfig, shown: bool) -> None:
    assert show_the_period(InstanceConfig(accel, guest)) is shown


@pytest.mark.parametrize("mode", ["one-shot", "periodic", "tsc-deadline"])
def test_a_kernel_that_skips_interrupts_shows_no_period(mode: str) -> None:
    """In a lab, Linux ticked 1.36 or 2.04 periods apart for seconds at a time."""
    config = InstanceConfig(Accel.KVM, GuestConfig(mode), program=GUESTS["linux"])
    assert not show_the_period(config)
