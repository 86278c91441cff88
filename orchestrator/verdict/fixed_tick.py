"""First ticks that come so long after a load, whatever was left of the period.

A first tick in the middle of the period fits the remaining time, whatever brings it there, as saves
are taken there, too. Only over many saves does it show whether it follows what each had left.
"""

from dataclasses import dataclass
from statistics import fmean, pvariance

from orchestrator.findings.outcome import Outcome
from orchestrator.guest.registry import GUESTS
from orchestrator.guest.saved_state import SavedState
from orchestrator.journal.counts import CellState
from orchestrator.journal.save_ticks import CLASSES

#: Fewest saves whose first ticks seem to come after the remaining time.
_FEWEST_SAVES = 8

#: Least standard deviation of what they had left, in periods.
_LEAST_SPREAD = 0.05

#: First ticks are fixed if their times less what was left vary so many times as much as the times
#: themselves. If ticks follow what was left, the times vary more.
_RATIO = 4.0


@dataclass(frozen=True, slots=True)
class FixedTick:
    """First ticks that came at one time after loads of saves with different times left."""

    saves: int
    at: float
    """Their mean time after the guest resumed, in periods."""
    least_left: float
    """The least time that a save had left of its period, in periods."""
    most_left: float
    """The most."""


def fixed_tick(state: CellState) -> FixedTick | None:
    """Return the first ticks of a cell that do not follow what was left, if they are fixed."""
    cell = state.cell
    if cell.vcpus > 1 or cell.state is not SavedState.ARMED or GUESTS[cell.guest].kernel_tick_ns:
        return None
    ticks = state.save_ticks
    remaining = ticks.classes[CLASSES.index(Outcome.REMAINING)]
    seen = [
        (1 - phase, total / count)
        for phase, total, count, so_many in zip(
            state.save_phases, ticks.periods, ticks.ticks, remaining, strict=True
        )
        if count and 2 * so_many > count
    ]
    if len(seen) < _FEWEST_SAVES:
        return None
    left, came = [each for each, _ in seen], [each for _, each in seen]
    if pvariance(left) < _LEAST_SPREAD**2:
        return None
    beside_left = pvariance(tick - each for each, tick in seen)
    if beside_left < _RATIO * pvariance(came):
        return None
    return FixedTick(len(seen), fmean(came), min(left), max(left))
