"""The first ticks after the loads of each save: their classes and their times."""

from array import array
from dataclasses import dataclass, field

from orchestrator.findings.outcome import Outcome

#: The classes of a first tick that say how the timer was restored.
CLASSES = (Outcome.IMMEDIATE, Outcome.FULL_PERIOD, Outcome.REMAINING)

_PLACE = {outcome: place for place, outcome in enumerate(CLASSES)}


@dataclass(slots=True)
class SaveTicks:
    """The plain first ticks of each save, in the order of the saves. Only sums are kept."""

    classes: "tuple[array[int], ...]" = field(
        default_factory=lambda: tuple(array("I") for _ in CLASSES)
    )
    """For each of `CLASSES`, the number of such loads of each save."""
    ticks: "array[int]" = field(default_factory=lambda: array("I"))
    """The loads of each save after which ticks went on normally, and the time is known."""
    periods: "array[float]" = field(default_factory=lambda: array("f"))
    """The sum of their times, in periods of the guest's running time."""

    @property
    def saves_by_class(self) -> list[int]:
        """The number of saves of each of `CLASSES`: the class of most of a save's loads.

        Loads of one save hang together, often down to one class for all of them. Saves are
        independent of each other.
        """
        counts = [0] * len(CLASSES)
        for of_save in zip(*self.classes, strict=True):
            if most := max(of_save):
                counts[of_save.index(most)] += 1
        return counts

    def begin(self) -> None:
        """Begin a new save."""
        for counts in self.classes:
            counts.append(0)
        self.ticks.append(0)
        self.periods.append(0.0)

    def count(self, outcome: Outcome, periods: float) -> None:
        """Count a load of the last save after which ticks went on normally."""
        if (place := _PLACE.get(outcome)) is not None:
            self.classes[place][-1] += 1
        self.ticks[-1] += 1
        self.periods[-1] += periods
