"""Missed ticks of timers that run on by themselves."""

from orchestrator.findings.outcome import Outcome
from orchestrator.journal.counts import CellState
from orchestrator.timers.registry import TIMERS


def missed_as_lost(state: CellState) -> int:
    """Return how many missed ticks of a cell may be losses.

    A guest falls silent if it loses the tick of a one-shot timer. A timer that runs on by itself
    brings the next tick a period later, so that a lost tick is a missed one. Ticks are missed on
    a busy host as well: as many as the shams missed are the host's.
    """
    if not TIMERS[state.cell.mode].goes_on:
        return 0
    by_itself = state.pairing.shams[Outcome.MISSED]
    return max(0, state.outcomes[Outcome.MISSED] - by_itself)
