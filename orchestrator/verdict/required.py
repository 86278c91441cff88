"""A requirement that the host does not meet."""

from orchestrator.bugs.exposure import ExposureState
from orchestrator.verdict.case import Case, Finding
from orchestrator.verdict.verdict import Verdict


def apicv_missing(case: Case) -> Finding | None:
    """Return `inconclusive` if the plan requires APICv and the guest ran without it."""
    if not case.apicv_required or case.exposure.state is not ExposureState.NOT_EXPOSED:
        return None
    why = f"APICv is required, but not in use: {case.exposure.why}"
    return Finding(Verdict.INCONCLUSIVE, why, says_rates=False)
