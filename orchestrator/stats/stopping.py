"""The rule by which a campaign ends.

An interval for a fixed number of trials errs more often than stated if it is read at a
moment that depends on the losses. Two things may be read at such a moment: a confidence
sequence, which holds at all times at once, and whether a count has reached a number that
was stated beforehand.
"""

import enum
import math
from dataclasses import dataclass
from functools import lru_cache

#: Upper bound of the probability that a load after which a vCPU ticked is diagnosed as this bug.
#: For such an error, a tick must be overlooked for eleven periods while QEMU answers and the
#: vCPU runs, and then two testimonies must agree on a loss that did not happen. The bound is
#: stated, not measured: no host that can't have the bug has shown such an error yet.
FALSE_DIAGNOSIS = 1e-6


@lru_cache
def losses_to_be_sure(planned: int, error: float) -> int:
    """Return how many diagnosed losses are too many to be the observer's errors.

    The number is the smallest count that `planned` loads without a loss reach with a
    probability of at most `error`, if each is wrongly diagnosed with probability
    `FALSE_DIAGNOSIS`.
    """
    if -math.expm1(planned * math.log1p(-FALSE_DIAGNOSIS)) <= error:
        return 1
    from scipy.special import betainc  # slow to import, and needed only for very many loads

    for count in range(2, planned + 1):
        if betainc(count, planned - count + 1, FALSE_DIAGNOSIS) <= error:
            return count
    return planned + 1


class Advice(enum.StrEnum):
    """The next step of a campaign after a trial."""

    GO_ON = "go on"
    ENOUGH_LOSSES = "enough losses to be sure"
    PLANNED_REACHED = "planned trials reached"


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """Decides after each trial whether the campaign goes on.

    Without `stop_after` a campaign runs the planned number of trials. Stopping early can't
    change the verdict: the number of diagnosed losses only grows, so a count that is reached
    on the way is also reached at the end. The rule calls exactly those campaigns `affected`
    that would have been called so at the end, with the same error rate (curtailed sampling).
    `clean` needs all planned trials. After an early stop, the loss rate is read from a
    confidence sequence.
    """

    planned: int
    """Planned number of trials."""
    stop_after: int | None = None
    """Number of diagnosed losses after which to end. More are needed if fewer could be errors."""
    error: float = 0.05
    """This cell's share of the run's error rate for a false `affected`."""
    vcpus: int = 1
    """vCPUs watched in each trial. The observer can err once for each."""

    def ask(self, trials: int, diagnosed_losses: int) -> Advice:
        """Return what to do.

        Args:
            trials: number of trials done, including those that stayed unknown.
            diagnosed_losses: number of losses diagnosed as this bug.
        """
        if (
            self.stop_after is not None
            and diagnosed_losses >= self.stop_after
            and diagnosed_losses >= losses_to_be_sure(self.planned * self.vcpus, self.error)
        ):
            return Advice.ENOUGH_LOSSES
        return Advice.PLANNED_REACHED if trials >= self.planned else Advice.GO_ON
