"""The test of a host under a kernel, in the form that the fleet's answer needs."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tested:
    """A cell that a host tested under a kernel."""

    host: str
    """The host. Kernels are compared within a host, so two computers have two names."""
    kernel: str
    cell: str
    trials: int
    lost: int
    unresolved: int
    """Trials that stayed unknown."""
    saves: Sequence[tuple[int, int]]
    """The loads with a known outcome and the losses of each save that has such loads."""
    rule_out: float
    """The loss rate that the plan wants ruled out."""
    blind: str = ""
    """The reason why losses may have been missed; empty if they would have been seen."""
    planned: int | None = None
    """The loads of the plan; None if it sets none."""

    @property
    def firsts(self) -> tuple[int, int]:
        """First loads of saves, and how many of them were lost."""
        return len(self.saves), sum(lost for loads, lost in self.saves if loads == 1)
