"""The candidates that lose under each hypothesis."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from orchestrator.bisect.candidate import History
from orchestrator.bisect.rules import Find

#: Numbers of the matrix that are unpacked at a time, in 64 MB.
_UNPACKED = 1 << 24

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


class Ancestry:
    """A matrix of candidates and hypotheses: true where the candidate loses.

    There is one hypothesis for each candidate but the first: that it is the culprit. Culprit and
    descendants lose, or no longer lose if a fix is to be found. The last two hypotheses have no
    culprit: no candidate loses, and every candidate loses.
    """

    def __init__(self, history: History, find: Find) -> None:
        """Build the matrix, a bit for each pair."""
        self.candidates = len(history)
        self._find = find
        self._told: tuple[Bools, npt.NDArray[np.uint64]] | None = None
        self.hypotheses = len(history) + 1
        width = (self.hypotheses + 7) // 8
        self._rows = np.zeros((self.candidates, width), dtype=np.uint8)
        for index, parents in enumerate(history.parents):
            row = self._rows[index]
            for parent in parents:
                row |= self._rows[parent]
            if index:
                row[(index - 1) // 8] |= 128 >> (index - 1) % 8
        if find is Find.FIX:
            self._rows = ~self._rows
        self._set(self.never, on=False)
        self._set(self.always, on=True)

    @property
    def never(self) -> int:
        """The hypothesis that no candidate loses."""
        return self.candidates - 1

    @property
    def always(self) -> int:
        """The hypothesis that every candidate loses."""
        return self.candidates

    def loses(self, candidates: Sequence[int] | npt.NDArray[np.intp]) -> Bools:
        """Return the rows of some candidates, (candidates, hypotheses)."""
        rows = self._rows[np.asarray(candidates, dtype=np.intp)]
        return np.unpackbits(rows, axis=1, count=self.hypotheses).astype(np.bool_)

    def losing(self, hypothesis: int) -> Bools:
        """Return which candidates lose under a hypothesis."""
        return (self._rows[:, hypothesis // 8] & (128 >> hypothesis % 8)).astype(np.bool_)

    def ancestors(self, candidate: int) -> Bools:
        """Return which candidates are ancestors of one; the first one always is."""
        row = self.loses([candidate])[0, : self.candidates - 1]
        found = np.concatenate(([True], ~row if self._find is Find.FIX else row))
        found[candidate] = False
        return found

    def sums(self, values: Floats, candidates: npt.NDArray[np.intp] | None = None) -> Floats:
        """Return the sums of values over the hypotheses under which each candidate loses.

        Args:
            values: (hypotheses, columns).
            candidates: the candidates to look at; by default, all of them.

        Returns:
            (candidates, columns).
        """
        narrow = values.astype(np.float32)
        rows = self._rows if candidates is None else self._rows[candidates]
        found = [block.astype(np.float32) @ narrow for block in self._blocks(rows)]
        return np.concatenate(found).astype(np.float64) if found else np.zeros((0, values.shape[1]))

    def told_apart(self, candidates: Bools) -> npt.NDArray[np.uint64]:
        """Return a number for each hypothesis, equal where no chosen candidate tells two apart.

        Args:
            candidates: which candidates are chosen.
        """
        if self._told is None or not np.array_equal(self._told[0], candidates):
            # Sums of random whole numbers. All of them are below 2**24, exact in 32 bits.
            rng = np.random.default_rng(0)
            weights = rng.integers(1, 256, (8, self.candidates)).astype(np.float32)
            weights[:, ~candidates] = 0
            sums = np.zeros((8, self.hypotheses), dtype=np.float32)
            at = 0
            for block in self._blocks(self._rows):
                sums += weights[:, at : at + len(block)] @ block.astype(np.float32)
                at += len(block)
            mixed = rng.integers(1, 1 << 63, 8, dtype=np.uint64)
            found = (sums.astype(np.uint64) * mixed[:, None]).sum(axis=0, dtype=np.uint64)
            self._told = candidates.copy(), found
        return self._told[1]

    def _blocks(self, rows: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
        step = max(1, _UNPACKED // self.hypotheses)
        for at in range(0, len(rows), step):
            yield np.unpackbits(rows[at : at + step], axis=1, count=self.hypotheses)

    def _set(self, hypothesis: int, *, on: bool) -> None:
        bit = np.uint8(128 >> hypothesis % 8)
        if on:
            self._rows[:, hypothesis // 8] |= bit
        else:
            self._rows[:, hypothesis // 8] &= ~bit
