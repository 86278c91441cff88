"""The error rates that hold for a run of many cells."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.stats.bounds import exact_high, ruled_out
from orchestrator.stats.stopping import FALSE_DIAGNOSIS
from orchestrator.verdict.verdict import Verdict


@dataclass(frozen=True, slots=True)
class CellBound:
    """A cell's verdict, and the counts on which its bound is based."""

    verdict: Verdict
    trials: int
    unresolved: int


def statement(cells: Sequence[CellBound], confidence: float) -> str:
    """Return a sentence about the error rates of all verdicts of a run.

    A run is clean only if every cell is clean. If one cell had a higher loss rate than its
    bound, that cell would have to be called clean by mistake. The probability is at most
    1 - confidence, however many other cells there are, so no correction is needed (an
    intersection-union test, Berger 1982). All bounds hold at once only if they are wider:
    each cell gets an equal share of the error (Bonferroni). The average loss rate is bounded
    by all loads together: the probability that n loads at each rate p have no loss is
    ∏ (1 - p)^n, and the mean of logarithms is at most the logarithm of the mean.

    A run is affected if one cell is, so the cells share the error: a cell is affected at a
    number of diagnosed losses that is too high for errors at its share.

    Args:
        cells: all cells of the plan, including skipped ones.
        confidence: the confidence of the plan.
    """
    error = 1 - confidence
    clean = [cell for cell in cells if cell.verdict is Verdict.CLEAN]
    ran = [cell for cell in cells if cell.verdict is not Verdict.SKIPPED]
    if not ran:
        return "No cell ran: nothing is ruled out."
    that_ran = " that ran" if len(ran) < len(cells) else ""
    said = []
    if len(clean) > 1:
        widest = max(
            exact_high(cell.unresolved, cell.trials, 1 - error / len(cells)) for cell in clean
        )  # fmt: skip
        trials = sum(cell.trials for cell in clean)
        said.append(
            (f"All {len(clean)}" if len(clean) == len(ran) else f"{len(clean)} of {len(ran)}")
            + f" cells{that_ran} are clean, each with an error of at most {error:.2g}. "
            f"At {confidence:.0%} confidence for all of them at once, their loss rates are at most "
            f"{widest:.3%}"
        )
        if len(clean) == len(ran):
            said.append(
                "If any cell had a higher loss rate than its bound, the probability of a clean run "
                f"would be at most {error:.2g}"
            )
            if not any(cell.unresolved for cell in clean):
                said.append(
                    f"Together, {trials:,} loads rule out an average loss rate above "
                    f"{ruled_out(trials, confidence):.3%}"
                )
    if any(cell.verdict is Verdict.AFFECTED for cell in cells):
        said.append(
            f"The probability that any of {len(cells)} cells is called affected by mistake is at "
            f"most {error:.2g}, if the observer takes at most one ticking load in "
            f"{1 / FALSE_DIAGNOSIS:,.0f} for a diagnosed loss"
        )
    if not said:
        said.append(
            f"Of {len(ran)} cell{'' if len(ran) == 1 else 's'}{that_ran}, {len(clean)} "
            f"{'is' if len(clean) == 1 else 'are'} clean and none is affected; "
            f"each verdict has an error of at most {error:.2g}"
        )
    return ". ".join(said) + "."
