"""What holds for a run of many cells at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.stats.bounds import exact_high, ruled_out
from orchestrator.stats.stopping import FALSE_DIAGNOSIS
from orchestrator.verdict.verdict import Verdict


@dataclass(frozen=True, slots=True)
class CellBound:
    """A cell's verdict, and what its bound rests on."""

    verdict: Verdict
    trials: int
    unresolved: int


def statement(cells: Sequence[CellBound], confidence: float) -> str:
    """Say at which error rate the verdicts of a whole run hold.

    `clean` for a run needs every cell to be clean. If any one is not what it claims, that
    one would have to be called clean by mistake, which has a probability of 1 - confidence
    at most, however many others there are: no correction is due. (An intersection-union
    test: Berger 1982.) The cells' bounds taken one by one are another matter: that all of
    them hold at once is certain to `confidence` at the wider bound that gives each cell an
    equal share of the error (Bonferroni). Their average is bounded by all loads together:
    n loads of each rate p stay whole with ∏ (1 - p)^n, and the mean of logarithms is at
    most the logarithm of the mean.

    `affected` for a run needs one cell only, so there the error is shared from the start:
    a cell is affected at as many diagnosed losses as can't be errors at its share.

    Args:
        cells: all of the run, skipped ones too: it was planned for so many.
        confidence: as planned.
    """
    error = 1 - confidence
    clean = [cell for cell in cells if cell.verdict is Verdict.CLEAN]
    ran = [cell for cell in cells if cell.verdict is not Verdict.SKIPPED]
    if not ran:
        return "No cell ran: nothing is ruled out."
    said = []
    if len(clean) > 1:
        widest = max(
            exact_high(cell.unresolved, cell.trials, 1 - error / len(cells)) for cell in clean
        )  # fmt: skip
        trials = sum(cell.trials for cell in clean)
        said.append(
            (f"All {len(clean)}" if len(clean) == len(ran) else f"{len(clean)} of {len(ran)}")
            + " cells are clean, with an error of at most "
            f"{error:.2g} each; that the bounds of all hold at once is certain to "
            f"{confidence:.0%} for {widest:.3%}"
        )
        if len(clean) == len(ran):
            said.append(
                f"If any cell lost more than its bound, a clean run would have a probability of "
                f"at most {error:.2g}"
            )
            if not any(cell.unresolved for cell in clean):
                said.append(
                    f"Together, {trials:,} loads rule out an average loss rate above "
                    f"{ruled_out(trials, confidence):.3%}"
                )
    if any(cell.verdict is Verdict.AFFECTED for cell in cells):
        said.append(
            f"That any of {len(cells)} cells is called affected by mistake has a probability of "
            f"at most {error:.2g}, if the observer takes at most one ticking load in "
            f"{1 / FALSE_DIAGNOSIS:,.0f} for a diagnosed loss"
        )
    if not said:
        said.append(
            f"{len(clean)} of {len(ran)} cells clean, none affected; "
            f"each verdict has an error of at most {error:.2g}"
        )
    return ". ".join(said) + "."
