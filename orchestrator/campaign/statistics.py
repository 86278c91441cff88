"""Exact intervals for rare losses."""

import math
from dataclasses import dataclass

#: Below this, the exact test says that saves differ.
SIGNIFICANCE = 0.05


@dataclass(frozen=True, slots=True)
class Losses:
    """What there was to lose, and what was lost.

    Loads of one save share a phase and a LAPIC state, and the first loss ends a save:
    so it matters how losses fall on saves.
    """

    trials: int
    lost: int
    unresolved: int = 0
    """Trials that stayed unknown: the upper end counts them as losses."""
    first_loads: int = 0
    """Saves of which the first load's outcome is known."""
    first_losses: int = 0
    """Those of which the first load was lost."""
    saves: int = 0
    lossy_saves: int = 0

    @property
    def saves_differ(self) -> bool:
        """Whether losses depend on the save, by Fisher's exact test.

        If every load were lost with the same probability, first loads would be lost
        no more often than later ones; if some saves always lose, losses are on first loads.
        """
        later = self.trials - self.first_loads
        if not self.lost or not self.first_loads or later <= 0:
            return False
        import numpy as np  # both slow to import, and needed after a loss only
        from scipy.stats import fisher_exact

        later_losses = self.lost - self.first_losses
        table = np.array(
            [
                [self.first_losses, self.first_loads - self.first_losses],
                [later_losses, later - later_losses],
            ]
        )
        return float(fisher_exact(table).pvalue) < SIGNIFICANCE


@dataclass(frozen=True, slots=True)
class LossRate:
    """A loss rate with an exact interval."""

    estimate: float | None
    """None without trials."""
    low: float
    high: float
    confidence: float
    per: str = "load"
    """`load`, or `save` where saves differ: then loads of one save are no independent trials."""


def loss_rate(losses: Losses, confidence: float) -> LossRate:
    """Return the Clopper-Pearson interval, over loads, or over saves where they differ.

    Where nothing was lost it is one-sided: its upper end is what the trials rule out.
    """
    if losses.trials == 0:
        return LossRate(None, 0.0, 1.0, confidence)
    if losses.saves_differ:
        return _interval(losses.lossy_saves, 0, losses.saves, confidence, "save")
    return _interval(losses.lost, losses.unresolved, losses.trials, confidence, "load")


def trials_needed(rule_out: float, confidence: float) -> int:
    """Return how many trials without a loss rule out a loss rate.

    That is ⌈ln(1 - confidence) / ln(1 - rule_out)⌉.
    """
    return math.ceil(math.log1p(-confidence) / math.log1p(-rule_out))


def _interval(lost: int, unresolved: int, trials: int, confidence: float, per: str) -> LossRate:
    from scipy.special import betaincinv  # slow to import, and needed once a cell

    tail = 1 - confidence if lost == 0 else (1 - confidence) / 2
    low = float(betaincinv(lost, trials - lost + 1, tail)) if lost else 0.0
    worst = lost + unresolved
    high = float(betaincinv(worst + 1, trials - worst, 1 - tail)) if worst < trials else 1.0
    return LossRate(lost / trials, low, high, confidence, per)
