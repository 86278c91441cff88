"""Exact bounds for rare losses."""

import math
from dataclasses import dataclass, field

from orchestrator.campaign.saves import BySave
from orchestrator.campaign.sequential import confidence_sequence


@dataclass(frozen=True, slots=True)
class Losses:
    """What there was to lose, and what was lost."""

    trials: int
    lost: int
    unresolved: int = 0
    """Trials that stayed unknown: the upper end counts them as losses."""
    by_save: BySave = field(default_factory=BySave)
    """How the losses fall on saves: loads of one save share a phase and a LAPIC state."""
    planned: int | None = None
    """Trials that were planned, if the campaign could end at another number."""

    @property
    def as_planned(self) -> bool:
        """Whether the number of trials is no outcome: then fixed-number intervals hold."""
        return self.planned is None or self.trials == self.planned


@dataclass(frozen=True, slots=True)
class LossRate:
    """A loss rate, and what the trials rule out below and above.

    Each end errs with a probability of 1 - confidence at most, by itself. (Ends that
    were two-sided with a loss and one-sided without one would together err more often
    than either says.)
    """

    estimate: float | None
    """None without trials."""
    low: float
    high: float
    confidence: float
    """Of each end."""
    per: str = "load"
    """`load`; or `save`, where saves differ: the chance that the first load of a save is lost."""


def loss_rate(losses: Losses, confidence: float) -> LossRate:
    """Return the loss rate over loads, or over saves where they differ."""
    if losses.trials == 0:
        return LossRate(None, 0.0, 1.0, confidence)
    if losses.by_save.differ:
        return rate_over_saves(losses.by_save, confidence)
    lost, trials = losses.lost, losses.trials
    worst = lost + losses.unresolved
    if worst == 0:
        return LossRate(0.0, 0.0, ruled_out(trials, confidence), confidence)
    if losses.as_planned:
        low, high = _exact_low(lost, trials, confidence), exact_high(worst, trials, confidence)
    else:
        low = confidence_sequence(lost, trials, confidence)[0]
        high = confidence_sequence(worst, trials, confidence)[1]
    return LossRate(lost / trials, low, high, confidence)


def rate_over_saves(by_save: BySave, confidence: float) -> LossRate:
    """Return the chance that the first load of a new save is lost.

    First loads are independent draws whatever saves are like; how many there are depends
    on the losses, so the interval is a confidence sequence. Without any loss the number
    of saves is no outcome, and 1 - (1 - confidence)^(1 / saves) holds.
    """
    saves, lost = by_save.first_loads, by_save.first_losses
    if saves == 0:
        return LossRate(None, 0.0, 1.0, confidence, "save")
    if not any(by_save.lost):
        return LossRate(0.0, 0.0, ruled_out(saves, confidence), confidence, "save")
    low, high = confidence_sequence(lost, saves, confidence)
    return LossRate(lost / saves, low, high, confidence, "save")


def ruled_out(trials: int, confidence: float) -> float:
    """Return the loss rate that trials without a loss rule out: 1 - (1 - confidence)^(1 / n).

    It may be read at any time while nothing is lost: it falls with each trial, so it
    passes below the true rate at one number of trials, and to come so far without a loss
    has a probability of 1 - confidence at most.

    It holds however loads of one save hang together, for the loss rate that counts a
    save's loads after its loss as not lost: a save of L loads that loses one with
    probability q has the rate q / L, and stays whole with 1 - q ≤ (1 - q / L)^L
    (Bernoulli's inequality), so n loads do with (1 - rate)^n at most.
    """
    return -math.expm1(math.log1p(-confidence) / trials)


def trials_needed(rule_out: float, confidence: float) -> int:
    """Return how many trials without a loss rule out a loss rate.

    That is ⌈ln(1 - confidence) / ln(1 - rule_out)⌉.
    """
    return math.ceil(math.log1p(-confidence) / math.log1p(-rule_out))


def _exact_low(lost: int, trials: int, confidence: float) -> float:
    """Return Clopper and Pearson's lower end, one-sided."""
    from scipy.special import betaincinv  # slow to import, and needed once a cell

    return float(betaincinv(lost, trials - lost + 1, 1 - confidence)) if lost else 0.0


def exact_high(lost: int, trials: int, confidence: float) -> float:
    """Return Clopper and Pearson's upper end, one-sided."""
    from scipy.special import betaincinv

    return float(betaincinv(lost + 1, trials - lost, confidence)) if lost < trials else 1.0
