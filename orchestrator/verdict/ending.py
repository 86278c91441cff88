"""How a campaign ended: as planned, or early and why."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a cell's campaign."""

    trials: int = 0
    """Loads that ran."""
    lost: int = 0
    planned: int = 0
    failure: str | None = None
    """Why the harness gave the cell up, for instance because no eligible save could be had.
    None if it did not."""
    control_missing: bool = False
    """True if it gave the cell up because a control could not be taken."""
    interrupted: bool = False
    """True if the run ended before the cell."""
    resume: bool = False
    """True if the run can be resumed."""
    seconds: float | None = None
    """The time limit, if it was reached."""

    @property
    def early(self) -> bool:
        """True if the campaign did not come to an end that its plan has."""
        return self.failure is not None or self.interrupted

    def __str__(self) -> str:
        """Return how the campaign ended, as a clause; empty if it ended as planned."""
        if self.failure is not None and self.control_missing:
            resume = ". `losttick run --resume DIR` takes it again" if self.resume else ""
            return (
                f"a control could not be taken, {self._reached}: {self.failure.rstrip('.')}{resume}"
            )
        if self.failure is not None:
            return f"the campaign ended early, {self._reached}: {self.failure.rstrip('.')}"
        if self.interrupted:
            resume = ". `losttick run --resume DIR` continues it" if self.resume else ""
            return f"the run was interrupted {self._reached}{resume}"
        if self.seconds is not None:
            return f"the time limit of {self.seconds:g} s was reached {self._reached}"
        return ""

    @property
    def _reached(self) -> str:
        if not self.trials:
            return "before the first load"
        return f"after {self.trials} of {self.planned} loads, {self.lost or 'none'} of them lost"


COMPLETE = Ending()
