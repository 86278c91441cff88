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
    """True if a resumed run has something left to do in the cell."""
    seconds: float | None = None
    """The time limit, if it was reached."""

    @property
    def early(self) -> bool:
        """True if the campaign did not come to an end that its plan has."""
        return self.failure is not None or self.interrupted

    def __str__(self) -> str:
        """Return how the campaign ended, as a clause; empty if it ended as planned."""
        if self.failure is not None:
            what = "the campaign ended early"
            if self.control_missing:
                what = "a control could not be taken"
            why = self.failure.rstrip(".")
            return f"{what}, {self._reached}: {why}{self.resumed('tries again')}"
        if self.interrupted:
            return f"the run was interrupted {self._reached}{self.resumed('continues it')}"
        if self.seconds is not None:
            return f"the time limit of {self.seconds:g} s was reached {self._reached}"
        return ""

    def resumed(self, does: str) -> str:
        """Return what a resumed run does, as a sentence that follows; empty if nothing is left."""
        return f". `losttick run --resume DIR` {does}" if self.resume else ""

    @property
    def _reached(self) -> str:
        if not self.trials:
            return "before the first load"
        return f"after {self.trials} of {self.planned} loads, {self.lost or 'none'} of them lost"


COMPLETE = Ending()
