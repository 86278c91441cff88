"""The goals of a cell: when it has run enough trials."""

from typing import Annotated

from pydantic import (
    Field,
    model_validator,
)

from orchestrator.plan.strict import WHOLE, Strict
from orchestrator.stats.bounds import trials_needed

#: Most trials of one cell: they take some days.
MAX_TRIALS = 10_000_000

#: Smallest loss rate that can be asked for. To rule it out takes hundreds of times the most trials.
MIN_RATE = 1e-9


class Goals(Strict):
    """When a cell has run enough trials: the `[limits]` table of a plan."""

    rule_out: float = Field(default=0.01, ge=MIN_RATE, lt=1)
    """Loss rate that `clean` rules out."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence of verdicts and intervals."""
    stop_after: Annotated[int, Field(strict=True, ge=1, le=MAX_TRIALS), WHOLE] | None = None
    """Losses diagnosed as the known bug after which a cell stops."""
    trials: Annotated[int, Field(strict=True, ge=1, le=MAX_TRIALS), WHOLE] | None = None
    """Trials of each cell; by default as many as `rule_out` needs."""
    seconds: float | None = Field(default=None, gt=0, le=10_000_000)
    """Time limit for the trials of a cell, by its host's clock. A cell that reaches the limit
    is judged by the trials it has run. By default there is no limit."""

    @model_validator(mode="after")
    def _within_reach(self) -> "Goals":
        if self.trials is None and self.needed > MAX_TRIALS:
            raise ValueError(
                f"to rule out {self.rule_out:g} at {self.confidence:g} takes {self.needed:,} "
                f"trials, more than {MAX_TRIALS:,}"
            )
        return self

    @property
    def needed(self) -> int:
        """Trials without a loss that rule out the rate `rule_out`."""
        return trials_needed(self.rule_out, self.confidence)

    @property
    def planned(self) -> int:
        """Trials to run in each cell."""
        return self.trials or self.needed
