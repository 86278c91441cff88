"""A campaign that ended early: said in every verdict, and never `clean`."""

from orchestrator.verdict.case import Case, Finding
from orchestrator.verdict.verdict import Verdict


def ended_early(case: Case) -> Finding | None:
    """Return `inconclusive` if the campaign was given up or interrupted."""
    if not case.ending.early:
        return None
    return Finding(Verdict.INCONCLUSIVE, str(case.ending), says_rates=False)


def ending_note(case: Case, found: Finding) -> str | None:
    """Return how the campaign ended, unless the finding says it or it ended as planned."""
    said = str(case.ending)
    if not said or found.why == said:
        return None
    return said[:1].upper() + said[1:]
