"""The losses of each save, and an exact test of whether losses depend on the save."""

from array import array
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


#: Saves differ if the p-value is at most this.
SIGNIFICANCE = 0.05


#: Arrangements that the test draws. With the observed arrangement they are 1,000.
_DRAWS = 999


#: Places of losses that are judged in one step. A step of fewer would take longer.
_AT_A_TIME = 100_000


#: Loads that the test uses, from the first on. Further loads would add little.
_TESTED = 50_000


@dataclass(slots=True)
class BySave:
    """The number of loads of each save, in order, and whether the last load was lost.

    A save ends at a loss, a stall, a crash or the end of the plan.
    """

    loads_per_save: int = 1
    """Most loads of one save."""
    loads: "array[int]" = field(default_factory=lambda: array("L"))
    """For each save, the number of loads whose outcome is known."""
    lost: bytearray = field(default_factory=bytearray)
    """For each save, 1 if its last load was lost, else 0."""

    def begin(self) -> None:
        """Begin a new save."""
        self.loads.append(0)
        self.lost.append(0)

    def count(self, *, lost: bool) -> None:
        """Count a load of the last save. Its outcome is known."""
        self.loads[-1] += 1
        self.lost[-1] = lost

    @property
    def first_loads(self) -> int:
        """Number of saves whose first load has a known outcome. Each is an independent draw."""
        return sum(loads > 0 for loads in self.loads)

    @property
    def first_losses(self) -> int:
        """Number of saves whose first load was lost."""
        return sum(
            lost and loads == 1 for loads, lost in zip(self.loads, self.lost, strict=True)
        )  # fmt: skip

    @property
    def differ(self) -> bool:
        """True if losses depend on the save, by an exact test at `SIGNIFICANCE`."""
        return self.p_value <= SIGNIFICANCE

    @property
    def p_value(self) -> float:
        """Probability that losses come this early in their saves if all saves are alike.

        If every load is lost with the same probability, all arrangements of the losses among
        the loads are equally probable. An arrangement determines where saves begin: after a
        loss, after `loads_per_save` loads, and where something else ended a save. If saves
        differ, bad saves are lost early and good saves not at all. The test compares the
        places of the losses in their saves with those of drawn arrangements, by the sum of
        their logarithms. (Fisher's test of first loads against later loads has half of the
        power if the rates of saves vary, and is not exact here, because the number of first
        loads depends on the losses.)

        The p-value (1 + arrangements that are as early) / (1 + drawn arrangements) is exact,
        not approximate (Phipson and Smyth 2010). The seed is fixed, so that a journal always
        gives the same verdict.
        """
        loads, lost, breaks = self._tested()
        if self.loads_per_save == 1 or not 0 < lost < loads:
            return 1.0
        import numpy as np  # slow to import, and needed only after a loss

        ends = np.cumsum(np.array(self.loads, dtype=np.int64))
        losses = ends[np.frombuffer(bytes(self.lost), dtype=np.uint8) > 0] - 1
        (seen,) = _lateness(losses[None, losses < loads], breaks, self.loads_per_save)
        drawn = _drawn(loads, lost, breaks, self.loads_per_save)
        as_early = np.searchsorted(drawn, seen + 1e-9, side="right")
        return float(1 + as_early) / (1 + _DRAWS)

    def _tested(self) -> tuple[int, int, tuple[int, ...]]:
        """Return the loads that the test uses, their losses, and where else saves ended."""
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
) -> "npt.NDArray[np.float64]":
    """Return the sum of the logarithms of the losses' places in their saves, for each row.

    Args:
        losses: places of the losses among all loads, from 0; one row an arrangement, in order.
        breaks: places where a save begins although the last one was neither lost nor full.
        loads_per_save: number of loads in a full save.
    """
    import numpy as np

    begins = np.array(breaks)
    after_loss = np.zeros_like(losses)
    after_loss[:, 1:] = losses[:, :-1] + 1
    after_break = begins[np.searchsorted(begins, losses, side="right") - 1]
    since = losses - np.maximum(after_loss, after_break)
    return np.log(since % loads_per_save + 1).sum(axis=1)  # type: ignore[no-any-return]  # of floats


@lru_cache(maxsize=512)
def _drawn(
    loads: int, lost: int, breaks: tuple[int, ...], loads_per_save: int
) -> "npt.NDArray[np.float64]":
    """Return the lateness of each drawn arrangement, sorted."""
    import numpy as np

    rng = np.random.default_rng(loads)
    found = []
    for begin in range(0, _DRAWS, rows := max(1, _AT_A_TIME // lost)):
        drawn = [
            rng.choice(loads, lost, replace=False, shuffle=False)
            for _ in range(begin, min(begin + rows, _DRAWS))
        ]
        found.append(_lateness(np.sort(drawn, axis=1), breaks, loads_per_save))
    return np.sort(np.concatenate(found))
