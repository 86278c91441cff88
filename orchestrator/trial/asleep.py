"""Finds the phases at which the vCPUs of a sleeping guest were stopped."""

from collections.abc import Sequence

from orchestrator.guest.config import GuestConfig
from orchestrator.guest.state import GuestState
from orchestrator.guest.wait import Wait
from orchestrator.trial.pace import Pace


def phases_asleep(
    states: Sequence[GuestState], guest: GuestConfig, pace: Pace, since_tick_ns: int
) -> Sequence[float | None]:
    """Return the phase of each vCPU by other clocks than its progress.

    A guest that halts makes no progress. For its first vCPU the host's clock says how long ago
    the last tick came, and for the others the TSC says how their ticks lie to that tick. For a
    guest that runs, and in a control, the progress says it: then each phase is None.

    Args:
        states: the counters of each vCPU.
        guest: the guest's configuration.
        pace: the pace of the first vCPU.
        since_tick_ns: the host's time from the first vCPU's last tick to the stop.
    """
    if guest.wait is Wait.BUSY or guest.control_tick:
        return [None] * len(states)
    first = since_tick_ns / guest.period_ns + pace.printing_periods
    return [
        first + (states[0].tick_tsc - state.tick_tsc) / pace.cycles_per_period for state in states
    ]
