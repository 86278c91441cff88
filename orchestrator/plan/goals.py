"""When a cell has seen enough."""

from pydantic import (
    Field,
    model_validator,
)

from orchestrator.plan.strict import Strict
from orchestrator.stats.bounds import trials_needed

#: Trials of a cell: some days of them.
MAX_TRIALS = 10_000_000


class PlanLimits(Strict):
    """When a cell has seen enough."""

    rule_out: float = Field(default=0.01, gt=0, lt=1)
    """Loss rate that `clean` rules out."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence of verdicts and intervals."""
    stop_after: int | None = Field(default=None, strict=True, ge=1)
    """Losses, each diagnosed as this bug, after which a cell has seen enough."""
    trials: int | None = Field(default=None, strict=True, ge=1, le=MAX_TRIALS)
    """Eligible trials a cell; by default what `rule_out` takes."""
    seconds: float | None = Field(default=None, gt=0, le=10_000_000)
    """Time for a cell's trials, by its host's clock; with fewer trials than planned by then
    its verdict rests on those. By default there is no such limit."""

    @model_validator(mode="after")
    def _within_reach(self) -> "PlanLimits":
        if self.trials is None and self.needed > MAX_TRIALS:
            raise ValueError(
                f"to rule out {self.rule_out:g} at {self.confidence:g} takes {self.needed:,} "
                f"trials, more than {MAX_TRIALS:,}"
            )
        return self

    @property
    def needed(self) -> int:
        """Trials that rule it out without a loss."""
        return trials_needed(self.rule_out, self.confidence)

    @property
    def planned(self) -> int:
        """Trials to run in each cell."""
        return self.trials or self.needed
