"""Cells in which some first ticks come at once and others after a whole period."""

from orchestrator.findings.outcome import Outcome
from orchestrator.verdict.case import Case, Finding

#: Fewest first ticks of the rarer class: a single one may be a measurement's error.
_FEWEST = 2


def mixed_note(case: Case, found: Finding) -> str | None:
    """Return how many first ticks had each of two classes of which a kernel has one."""
    at_once, later = (
        case.tally.outcomes[each] for each in (Outcome.IMMEDIATE, Outcome.FULL_PERIOD)
    )
    if min(at_once, later) < _FEWEST:
        return None
    return (
        f"The first tick came at once after {at_once} loads and after a whole period after "
        f"{later}: a kernel does the one or the other (commit 8e6ed96cdd50), so something else "
        "decides here from load to load"
    )
