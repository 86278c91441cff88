"""The phases of a cell's saves, drawn from the seed.

The phase of a save depends on the seed, the cell and the number of the save alone. A run that is
resumed goes on with the phases that it would have had.
"""

import random

from orchestrator.plan.cell import Cell


class Phases:
    """Draws the phase of each save of a cell."""

    def __init__(self, seed: int, cell: Cell) -> None:
        """Prepare.

        Args:
            seed: of the run.
            cell: the cell. Its id is part of the seed, so that its phases do not depend on the
                other cells.
        """
        self._seed = seed
        self._cell = cell
        self._rng = random.Random(f"{seed}/{cell.id}/0")
        self._drawn = 0
        self._phase = 0.0
        self._tries = 0

    def draw(self, save: int) -> float:
        """Return the phase at which to stop the guest for a save.

        Another try of the same save has another phase: the first one may be why it failed. It
        takes none of the draws of the saves after it.

        Args:
            save: number of the save, from 1; never less than before.
        """
        if save == self._drawn:
            self._tries += 1
            again = random.Random(f"{self._seed}/{self._cell.id}/{save}/again/{self._tries}")
            return self._cell.phase.draw(again)
        while self._drawn < save:
            self._phase = self._cell.phase.draw(self._rng)
            self._drawn += 1
        self._tries = 0
        return self._phase
