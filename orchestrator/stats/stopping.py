"""When a campaign may end, and what may be read of it at any time.

An interval for a fixed number of trials errs more often than it says when it is read
at a moment that the losses chose. Two things may be read then: a confidence sequence,
which holds at all times at once, and a count that was stated beforehand.
"""

import enum
from dataclasses import dataclass
from functools import lru_cache

#: How often, per load of a vCPU, one that ticked is taken for a loss and diagnosed as this bug:
#: at most. That takes a tick that is missed for eleven periods while QEMU answers and the
#: vCPU runs, and then two testimonies that agree on a loss that was none. It is stated,
#: not measured: hosts that can't have the bug measure it, and none has shown one yet.
FALSE_DIAGNOSIS = 1e-6


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
