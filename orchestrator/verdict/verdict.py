"""The answers that there are."""

import enum


class Verdict(enum.StrEnum):
    """The answer for a cell or a run, the gravest first."""

    AFFECTED = "affected"
    ANOMALOUS = "anomalous"
    INCONCLUSIVE = "inconclusive"
    CLEAN = "clean"
    SKIPPED = "skipped"


def overall(verdicts: list[Verdict]) -> Verdict:
    """Return the gravest; `skipped` only where nothing ran."""
    return min(verdicts, key=list(Verdict).index, default=Verdict.SKIPPED)
