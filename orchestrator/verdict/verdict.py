"""The verdicts."""

import enum


class Verdict(enum.StrEnum):
    """The verdict of a cell or a run, the gravest first."""

    AFFECTED = "affected"
    ANOMALOUS = "anomalous"
    INCONCLUSIVE = "inconclusive"
    CLEAN = "clean"
    SKIPPED = "skipped"


def overall(verdicts: list[Verdict]) -> Verdict:
    """Return the gravest verdict; `skipped` only if nothing ran."""
    return min(verdicts, key=list(Verdict).index, default=Verdict.SKIPPED)
