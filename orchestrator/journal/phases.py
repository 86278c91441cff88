"""Outcomes by the phase of their save."""

from array import array
from collections import Counter
from dataclasses import dataclass, field

from orchestrator.findings.outcome import Outcome
from orchestrator.findings.save import Save

#: Bins to a period.
BINS = 10


@dataclass(slots=True)
class PhaseBin:
    """The saves of one part of the period, and the outcomes of their loads."""

    low: float
    high: float
    """The part, 0 to 1. `low` belongs to it, `high` does not."""
    expired: bool
    """True for saves whose timer had run out in the stopped instance."""
    saves: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    first_tick_periods: "array[float]" = field(default_factory=lambda: array("d"))
    """The guest's progress from the save to its first tick, for each load that ticked on."""

    @property
    def trials(self) -> int:
        """Loads, resolved or not."""
        return self.outcomes.total()


@dataclass(slots=True)
class Phases:
    """The saves of a cell, in bins by the phase that each really had."""

    _bins: dict[tuple[bool, int], PhaseBin] = field(default_factory=dict)

    def begin_save(self, save: Save) -> PhaseBin:
        """Count a save, and return its bin."""
        first = save.first
        number = min(max(int(first.phase * BINS), 0), BINS - 1)
        place = (first.expired, number)
        if place not in self._bins:
            self._bins[place] = PhaseBin(number / BINS, (number + 1) / BINS, first.expired)
        found = self._bins[place]
        found.saves += 1
        return found

    @property
    def bins(self) -> list[PhaseBin]:
        """The bins with saves: by phase, and expired saves after the others."""
        return [found for _, found in sorted(self._bins.items())]
