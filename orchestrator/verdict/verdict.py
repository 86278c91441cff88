"""The verdicts."""

import enum
from dataclasses import dataclass


class Verdict(enum.StrEnum):
    """The verdict of a cell or a run, the gravest first."""

    AFFECTED = "affected"
    ANOMALOUS = "anomalous"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"
    CLEAN = "clean"


def overall(verdicts: list[Verdict]) -> Verdict:
    """Return the gravest verdict; `skipped` if there is none.

    What was asked for and not tested is graver than what is clean.
    """
    return min(verdicts, key=list(Verdict).index, default=Verdict.SKIPPED)


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of one of several cells. The exit code of a command depends on it."""

    verdict: Verdict
    failed: bool = False
    """True if the harness failed in the cell."""
