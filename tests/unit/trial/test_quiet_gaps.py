"""The times between ticks that show the timer's period."""

import pytest

from orchestrator.guest.config import GuestConfig
from orchestrator.guest.lines import Tick
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.wait import Wait
from orchestrator.trial.pace import Pace
from orchestrator.trial.quiet_gaps import quiet_gaps, show_the_period
from orchestrator.vm.config import Accel, InstanceConfig

PERIOD_NS = 20_000_000
CYCLES = 40_000_000

#: TSC cycles in a millisecond.
MS = 2_000_000


def tick(number: int, at: float, ran_last_ms: float | None = None) -> Tick:
    """Return a tick, in periods; its vCPU had waited for a CPU before it ran for so long."""
    waited = {} if ran_last_ms is None else {
        "stolen": MS, "longest": MS, "since_last": int(ran_last_ms * MS)
    }  # fmt: skip
    return Tick(number, 900, int(at * CYCLES), 0, number, **waited)


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
        ("periodic", (tick(1, 0), tick(2, 1.4, 0.1), tick(3, 2.1)), (1.05,)),
        # The vCPU had run for a while when the second tick came.
        ("one-shot", (tick(1, 0), tick(2, 1.05, 1.5)), (1.05,)),
        ("periodic", (tick(1, 0), tick(2, 1.05, 1.5)), (1.05,)),
        # Lines are missing: a periodic timer went on.
        ("one-shot", (tick(1, 0), tick(4, 3.15)), ()),
        ("periodic", (tick(1, 0), tick(4, 3.15)), (1.05,)),
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
