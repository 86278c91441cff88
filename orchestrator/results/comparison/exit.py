"""The exit code of a comparison."""

from collections.abc import Collection
from enum import StrEnum

from orchestrator.results.comparison.compare import TOLD, Answer, CellComparison, Comparison
from orchestrator.results.comparison.shifts import Shifted
from orchestrator.results.exit_code import GRAVITY, ExitCode


class CompareFailOn(StrEnum):
    """A kind of answer for which a comparison ends with an exit code other than 0."""

    WORSE = "worse"
    CANT_TELL = "cant-tell"
    CLASS = "class"
    LATENCY = "latency"


#: The kinds that count if none is named.
DEFAULT = frozenset({CompareFailOn.WORSE, CompareFailOn.CANT_TELL})


def judged_shifts(fail_on: Collection[CompareFailOn]) -> frozenset[Shifted]:
    """Return the shifts of the first tick that decide the exit code."""
    return frozenset(shifted for shifted in Shifted if CompareFailOn(shifted.value) in fail_on)


def comparison_exit(found: Comparison, fail_on: Collection[CompareFailOn]) -> ExitCode:
    """Return the exit code: 1 if a run is worse, 5 after a shift, 6 if nothing can be told.

    The gravest cell decides. A run without an equal cell counts as a cell that can't be told.
    """
    codes = {code for cell in found.cells for code in _cell_codes(cell, fail_on)}
    if CompareFailOn.CANT_TELL in fail_on and any(not pair.cells for pair in found.pairs):
        codes.add(ExitCode.INCONCLUSIVE)
    return next((code for code in GRAVITY if code in codes), ExitCode.CLEAN)


def _cell_codes(cell: CellComparison, fail_on: Collection[CompareFailOn]) -> set[ExitCode]:
    codes = set()
    if cell.answer is Answer.WORSE and CompareFailOn.WORSE in fail_on:
        codes.add(ExitCode.AFFECTED)
    if cell.answer is Answer.CANT_TELL and CompareFailOn.CANT_TELL in fail_on:
        codes.add(ExitCode.INCONCLUSIVE)
    kinds = judged_shifts(fail_on)
    if any(shift.kind in kinds and shift.found(TOLD) for shift in cell.shifts):
        codes.add(ExitCode.ANOMALOUS)
    return codes
