"""A host that went down in a trial: said in every verdict, because the load may be to blame."""

from orchestrator.verdict.case import Case, Finding


def went_down_note(case: Case, found: Finding) -> str | None:
    """Return in which trials the host went down before the campaign went on."""
    if not case.went_down:
        return None
    return (
        f"The host went down {' and '.join(case.went_down)}, without an end of the session, and "
        "nothing says whether a load did that"
    )
