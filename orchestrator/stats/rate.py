"""Loss rates with exact bounds."""

from dataclasses import dataclass, field, replace

from orchestrator.stats.bounds import exact_high, exact_low, ruled_out
from orchestrator.stats.save_effect import BySave
from orchestrator.stats.sequence import confidence_sequence


@dataclass(frozen=True, slots=True)
class Losses:
    """The counts on which a loss rate is based."""

    trials: int
    lost: int
    unresolved: int = 0
    """Trials that stayed unknown. The upper end counts them as losses."""
    by_save: BySave = field(default_factory=BySave)
    """The losses of each save. Loads of one save share a phase and a LAPIC state."""
    planned: int | None = None
    """Planned number of trials, if the campaign could end at another number."""

    @property
    def as_planned(self) -> bool:
        """True if exactly the planned number of trials ran: fixed-sample intervals are valid."""
        return self.planned is None or self.trials == self.planned


@dataclass(frozen=True, slots=True)
class SaveRate:
    """How often the first load of a new save is lost, with its interval.

    The interval holds whether or not losses depend on the save.
    """

    saves: int
    """Saves whose first load has a known outcome."""
    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LossRate:
    """A loss rate and its interval.

    Each end errs with a probability of at most 1 - confidence, by itself. (Two-sided ends
    after a loss and a one-sided end without a loss would together err more often than
    either states.)
    """

    estimate: float | None
    """None if there were no trials."""
    low: float
    high: float
    confidence: float
    """Confidence of each end."""
    per: str = "load"
    """`load`; or `save` if saves differ: then the rate is the probability that the first load
    of a save is lost."""
    over_saves: SaveRate | None = None
    """The rate over saves; None if a save is loaded once, so that both rates are the same."""


def loss_rate(losses: Losses, confidence: float) -> LossRate:
    """Return the loss rate over loads, or over saves if saves differ."""
    if losses.trials == 0:
        return LossRate(None, 0.0, 1.0, confidence)
    by_save = losses.by_save
    over_saves = rate_over_saves(by_save, confidence) if by_save.loads_per_save > 1 else None
    if over_saves and by_save.differ:
        low, high = over_saves.low, over_saves.high
        return LossRate(over_saves.estimate, low, high, confidence, "save", over_saves)
    return replace(rate_over_loads(losses, confidence), over_saves=over_saves)


def rate_over_loads(losses: Losses, confidence: float) -> LossRate:
    """Return the loss rate over loads. Its interval holds if losses do not depend on the save."""
    lost, trials = losses.lost, losses.trials
    worst = lost + losses.unresolved
    if trials == 0:
        return LossRate(None, 0.0, 1.0, confidence)
    if worst == 0:
        low, high = 0.0, ruled_out(trials, confidence)
    elif losses.as_planned:
        low, high = exact_low(lost, trials, confidence), exact_high(worst, trials, confidence)
    else:
        low = confidence_sequence(lost, trials, confidence)[0]
        high = confidence_sequence(worst, trials, confidence)[1]
    return LossRate(lost / trials, low, high, confidence)


def rate_over_saves(by_save: BySave, confidence: float) -> SaveRate | None:
    """Return the probability that the first load of a new save is lost; None without saves.

    First loads are independent draws, however saves differ. Their number depends on the
    losses, so the interval is a confidence sequence. Without any loss, the number of saves
    does not depend on outcomes, and 1 - (1 - confidence)^(1 / saves) holds.
    """
    saves, lost = by_save.first_loads, by_save.first_losses
    if saves == 0:
        return None
    if not any(by_save.lost):
        return SaveRate(saves, 0.0, 0.0, ruled_out(saves, confidence))
    low, high = confidence_sequence(lost, saves, confidence)
    return SaveRate(saves, lost / saves, low, high)
