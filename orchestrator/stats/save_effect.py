"""How losses fall on saves, and whether they depend on the save."""

from array import array
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


#: At or below this p-value, saves are said to differ.
SIGNIFICANCE = 0.05


#: Rearrangements that the test draws; with the one that was seen, a round number.
_DRAWS = 999


#: Loads that the test looks at, the first ones: with more, saves are known well enough.
_TESTED = 50_000


@dataclass(slots=True)
class BySave:
    """The loads of each save, in order, and whether the last of them was lost.

    A loss ends its save; so do a stall, a crash and the end of the plan.
    """

    loads_per_save: int = 1
    """After so many loads a save ends by itself."""
    loads: "array[int]" = field(default_factory=lambda: array("L"))
    """Loads of each save whose outcome is known."""
    lost: bytearray = field(default_factory=bytearray)
    """1 where the last of them was lost."""

    def begin(self) -> None:
        """Note a new save."""
        self.loads.append(0)
        self.lost.append(0)

    def count(self, *, lost: bool) -> None:
        """Note a load of the last save, whose outcome is known."""
        self.loads[-1] += 1
        self.lost[-1] = lost

    @property
    def first_loads(self) -> int:
        """Saves of which the first load's outcome is known: one independent draw each."""
        return sum(loads > 0 for loads in self.loads)

    @property
    def first_losses(self) -> int:
        """Those of which the first load was lost."""
        return sum(
            lost and loads == 1 for loads, lost in zip(self.loads, self.lost, strict=True)
        )  # fmt: skip

    @property
    def differ(self) -> bool:
        """Whether losses depend on the save, by an exact test at `SIGNIFICANCE`."""
        return self.p_value <= SIGNIFICANCE

    @property
    def p_value(self) -> float:
        """How often alike saves would have their losses so early, by rearrangement.

        If every load is lost with the same probability, each arrangement of the losses
        among the loads, in order, is as probable as any other, and an arrangement says
        where saves would have begun: after each loss, after `loads_per_save` loads, and
        where something else ended one. If saves differ, bad ones are lost early and good
        ones not at all. So the losses' places in their saves are compared with those of
        drawn arrangements, by the sum of their logarithms (Fisher's test of first loads
        against later ones has half of its power where the rates of saves vary, and is
        not exact here: how many first loads there are depends on the losses).

        The p-value of drawn rearrangements, (1 + as early) / (1 + drawn), is exact, not
        approximate: Phipson and Smyth 2010. The seed is fixed, so that a journal gives
        the same verdict again.
        """
        loads, lost, breaks = self._tested()
        if self.loads_per_save == 1 or not 0 < lost < loads:
            return 1.0
        import numpy as np  # slow to import, and needed after a loss only

        ends = np.cumsum(np.array(self.loads, dtype=np.int64))
        losses = ends[np.frombuffer(bytes(self.lost), dtype=np.uint8) > 0] - 1
        seen = _lateness(losses[losses < loads], breaks, self.loads_per_save)
        drawn = _drawn(loads, lost, breaks, self.loads_per_save)
        as_early = np.searchsorted(drawn, seen + 1e-9, side="right")
        return float(1 + as_early) / (1 + _DRAWS)

    def _tested(self) -> tuple[int, int, tuple[int, ...]]:
        """Return how many loads the test looks at, their losses, and where else saves began."""
        total = lost = 0
        breaks = [0]
        for loads, ended_lost in zip(self.loads, self.lost, strict=True):
            if total + loads > _TESTED:
                return _TESTED, lost, tuple(breaks)
            total += loads
            lost += ended_lost
            if not ended_lost and 0 < loads < self.loads_per_save:
                breaks.append(total)
        return total, lost, tuple(breaks)


def _lateness(
    losses: "npt.NDArray[np.int64]", breaks: tuple[int, ...], loads_per_save: int
) -> float:
    """Return the sum of the logarithms of the losses' places in their saves.

    Args:
        losses: their places among all loads, from 0, in order.
        breaks: where saves began for another reason than a loss or a full save before.
        loads_per_save: in a full save.
    """
    import numpy as np

    begins = np.array(breaks)
    after_loss = np.concatenate([[0], losses[:-1] + 1])
    after_break = begins[np.searchsorted(begins, losses, side="right") - 1]
    since = losses - np.maximum(after_loss, after_break)
    return float(np.log(since % loads_per_save + 1).sum())


@lru_cache(maxsize=512)
def _drawn(
    loads: int, lost: int, breaks: tuple[int, ...], loads_per_save: int
) -> "npt.NDArray[np.float64]":
    """Return the lateness of drawn arrangements, sorted."""
    import numpy as np

    rng = np.random.default_rng(loads)
    return np.sort(
        [
            _lateness(
                np.sort(rng.choice(loads, lost, replace=False, shuffle=False)),
                breaks,
                loads_per_save,
            )
            for _ in range(_DRAWS)
        ]
    )
