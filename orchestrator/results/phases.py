"""Outcomes by the phase of their save, read from the journal."""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.findings.outcome import OUTCOME_BY_NAME, Outcome
from orchestrator.journal.count import MAX_ATTEMPTS, Arm

#: Bins to a period.
BINS = 10


@dataclass(slots=True)
class PhaseBin:
    """Saves of one part of the period, and what their loads came to."""

    low: float
    high: float
    """The part, 0 to 1: `low` belongs to it, `high` does not."""
    expired: bool
    """Whether their timers had run out in the stopped machine before it was saved."""
    saves: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    first_tick_periods: "array[float]" = field(default_factory=lambda: array("d"))
    """Of those that ticked on: the guest's progress from the save to its first tick."""

    @property
    def trials(self) -> int:
        """Loads, resolved or not."""
        return self.outcomes.total()


def by_phase(records: Iterable[Mapping[str, Any]]) -> dict[str, list[PhaseBin]]:
    """Group the trials of each cell by the phase that their save really had.

    Attempts that were repeated are not counted, nor are controls.

    Args:
        records: a journal's, in their order.

    Returns:
        By cell id; bins without saves are left out, the others are in order.
    """
    bins: dict[str, dict[tuple[bool, int], PhaseBin]] = {}
    saves: dict[tuple[str, str], PhaseBin] = {}
    host, unknown = Arm.HOST, Outcome.UNKNOWN
    for record in records:
        if record["record"] == "restart":  # what was counted on another host
            bins.pop(record["cell"], None)
        if record.get("arm") != host:
            continue
        cell = record["cell"]
        if record["record"] == "save" and record["eligible"]:
            place = (record.get("expired", False), _bin(record["phase"]))
            found = bins.setdefault(cell, {}).setdefault(place, _empty(*place))
            found.saves += 1
            saves[cell, record["tag"]] = found
        elif record["record"] == "trial" and (save := saves.get((cell, record["save"]))):
            outcome = OUTCOME_BY_NAME[record["outcome"]]
            if outcome is unknown and record["attempt"] < MAX_ATTEMPTS:
                continue
            save.outcomes[outcome] += 1
            if first := record["first_tick"]:
                save.first_tick_periods.append(first["periods"])
    return {cell: [found for _, found in sorted(of.items())] for cell, of in bins.items()}


def _bin(phase: float) -> int:
    return min(max(int(phase * BINS), 0), BINS - 1)


def _empty(expired: bool, number: int) -> PhaseBin:
    return PhaseBin(number / BINS, (number + 1) / BINS, expired)
