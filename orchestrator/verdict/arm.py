"""The verdict of a lab run: its arms whose answer is known decide whether it proves anything."""

from collections.abc import Sequence

from orchestrator.findings.lab import LabIdentity
from orchestrator.verdict.verdict import Ended, Verdict, overall


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


def lab_ends(arms: Sequence[tuple[LabIdentity, Ended]]) -> list[Ended]:
    """Return what decides the exit code of a lab run.

    The verdict of a known arm is no finding, but an arm that failed or was skipped was not
    tested.
    """
    untouched = [ended for lab, ended in arms if lab.untouched]
    known = [
        Ended(Verdict.INCONCLUSIVE if ended.failed else Verdict.SKIPPED, ended.failed)
        for lab, ended in arms
        if not lab.untouched and (ended.failed or ended.verdict is Verdict.SKIPPED)
    ]
    verdict = lab_verdict([(lab, ended.verdict) for lab, ended in arms])
    return [Ended(verdict), *untouched, *known]
