"""The verdict of a lab run: its arms whose answer is known decide whether it proves anything."""

from collections.abc import Sequence

from orchestrator.findings.lab import LabIdentity
from orchestrator.verdict.verdict import Verdict, overall


def lab_verdict(arms: Sequence[tuple[LabIdentity, Verdict]]) -> Verdict:
    """Return the verdict of the untouched kernels, if the known arms came out as they must.

    Without an untouched kernel it is the gravest verdict of all arms.
    """
    asked = [verdict for lab, verdict in arms if lab.untouched]
    verdict = overall(asked or [verdict for _, verdict in arms])
    if asked and verdict is Verdict.CLEAN and any(surprises(lab, got) for lab, got in arms):
        return Verdict.INCONCLUSIVE
    return verdict


def surprises(lab: LabIdentity, got: Verdict) -> bool:
    """Return whether an arm whose answer is known got another verdict."""
    return lab.expected not in (None, got)
