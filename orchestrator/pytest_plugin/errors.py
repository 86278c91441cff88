"""The assertions that fail when ticks do not survive, one for each verdict that is no pass."""

from pathlib import Path

from orchestrator.verdict.run import RunResult
from orchestrator.verdict.verdict import Verdict


class TicksError(AssertionError):
    """It was not shown that ticks survive. The message has the verdict, counts and evidence."""

    def __init__(self, words: str, result: RunResult, folder: Path) -> None:
        super().__init__(words)
        self.result = result
        self.folder = folder
        """The run's folder, with its journal and its evidence."""


class AffectedError(TicksError):
    """A timer interrupt was lost, by the known bug."""


class AnomalousError(TicksError):
    """Something else is wrong with the ticks."""


class InconclusiveError(TicksError):
    """Nothing is known: this is neither a pass nor a loss."""


#: The error of each verdict that is neither `clean` nor `skipped`.
ERRORS: dict[Verdict, type[TicksError]] = {
    Verdict.AFFECTED: AffectedError,
    Verdict.ANOMALOUS: AnomalousError,
    Verdict.INCONCLUSIVE: InconclusiveError,
}
