"""A requirement that the host does not meet."""

from orchestrator.bugs.exposure import ExposureState, Reason
from orchestrator.verdict.case import Case, Finding
from orchestrator.verdict.verdict import Verdict


def apicv_missing(case: Case) -> Finding | None:
    """Return `inconclusive` if the plan requires APICv and the guest ran without it."""
    exposed = case.exposure
    without = (
        exposed.state is ExposureState.NOT_EXPOSED and exposed.reason is not Reason.SAVED_STATE
    )
    if not case.apicv_required or not without:
        return None
    why = f"APICv is required, but not in use: {exposed.why}"
    return Finding(Verdict.INCONCLUSIVE, why, says_rates=False)


def required_note(case: Case, found: Finding) -> str | None:
    """Return that the requirement is not met, beside a fault: a requirement hides no fault."""
    missing = apicv_missing(case)
    return missing.why if missing and missing.why != found.why else None
