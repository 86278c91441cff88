"""When a campaign may end, and what may be read of it at any time.

An interval for a fixed number of trials errs more often than it says when it is read
at a moment that the losses chose. Two things may be read then: a confidence sequence,
which holds at all times at once, and a count that was stated beforehand.
"""

import enum
import math
from dataclasses import dataclass
from functools import lru_cache

#: How often, per load of a vCPU, one that ticked is taken for a loss and diagnosed as this bug:
#: at most. That takes a tick that is missed for eleven periods while QEMU answers and the
#: vCPU runs, and then two testimonies that agree on a loss that was none. It is stated,
#: not measured: hosts that can't have the bug measure it, and none has shown one yet.
FALSE_DIAGNOSIS = 1e-6


def evidence_against(rate: float, lost: int, trials: int) -> float:
    """Return the logarithm of what a bettor against this loss rate has made of 1.

    The bettor spreads the stake over all other rates by Jeffreys' prior, Beta(1/2, 1/2).
    At the true rate that is a martingale: it ever reaches 1 / error with a probability of
    `error` at most (Ville's inequality), however the trials' number was chosen.

    Args:
        rate: between 0 and 1, ends excluded.
        lost: of the trials, so far.
        trials: so far.
    """
    ticked = trials - lost
    mixture = (
        math.lgamma(lost + 0.5) + math.lgamma(ticked + 0.5) - math.lgamma(trials + 1)
        - math.log(math.pi)
    )  # fmt: skip
    return mixture - lost * math.log(rate) - ticked * math.log1p(-rate)


def confidence_sequence(lost: int, trials: int, confidence: float) -> tuple[float, float]:
    """Return an interval for the loss rate that may be read at any time, and as often as wanted.

    It is the rates that `evidence_against` has not refuted: all of its readings hold at
    once at the stated confidence, so that a campaign may end, or go on, for any reason.
    """
    bound = -math.log1p(-confidence)
    middle = lost / trials if trials else 0.5
    low = _crossing(middle, 0.0, lost, trials, bound) if lost else 0.0
    high = _crossing(middle, 1.0, lost, trials, bound) if lost < trials else 1.0
    return low, high


def _crossing(inside: float, outside: float, lost: int, trials: int, bound: float) -> float:
    """Return where the evidence passes the bound, from the side where it is refuted."""
    for _ in range(60):
        between = (inside + outside) / 2
        if not 0 < between < 1:
            break
        if evidence_against(between, lost, trials) < bound:
            inside = between
        else:
            outside = between
    return outside


@lru_cache
def losses_to_be_sure(planned: int, error: float) -> int:
    """Return how many diagnosed losses can't be the observer's errors.

    The smallest count that `planned` loads, none of them lost, reach with a probability
    of `error` at most, each being falsely diagnosed with probability `FALSE_DIAGNOSIS`.
    """
    from scipy.special import betainc  # slow to import

    for count in range(1, planned + 1):
        if betainc(count, planned - count + 1, FALSE_DIAGNOSIS) <= error:
            return count
    return planned + 1


class Advice(enum.StrEnum):
    """What a campaign is to do after a trial."""

    GO_ON = "go on"
    ENOUGH_LOSSES = "enough losses to be sure"
    PLANNED_REACHED = "planned trials reached"


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """Says after each trial whether to go on; without `stop_after`, up to the planned number.

    Stopping early is sound because it can't change the verdict. Diagnosed losses only
    grow in number, so the count is reached at some time within the planned trials just
    when it has been reached at their end: whoever stops there calls `affected` exactly
    the campaigns that would have been called so at the end, with the same error rate
    (curtailed sampling). `clean` needs all planned trials, and is never reached early.
    The loss rate is then read from a confidence sequence.
    """

    planned: int
    """Trials."""
    stop_after: int | None = None
    """Diagnosed losses after which to end, or as many as it takes to be sure, if more."""
    error: float = 0.05
    """This cell's share of the run's error rate for a false `affected`."""
    vcpus: int = 1
    """Watched in each trial: chances to err in it."""

    def ask(self, trials: int, diagnosed_losses: int) -> Advice:
        """Return what to do.

        Args:
            trials: done, unresolved ones counted.
            diagnosed_losses: diagnosed as this bug.
        """
        if (
            self.stop_after is not None
            and diagnosed_losses >= self.stop_after
            and diagnosed_losses >= losses_to_be_sure(self.planned * self.vcpus, self.error)
        ):
            return Advice.ENOUGH_LOSSES
        return Advice.PLANNED_REACHED if trials >= self.planned else Advice.GO_ON
