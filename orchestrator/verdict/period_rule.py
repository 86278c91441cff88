"""The rule of a timer whose period is longer or shorter after loads than before them."""

from orchestrator.verdict.case import Case, Finding
from orchestrator.verdict.period_change import PeriodChange
from orchestrator.verdict.verdict import Verdict


def period_changed(case: Case) -> Finding | None:
    """Return `anomalous` if the timer's period is another one after loads."""
    found = case.period_change
    if found is None:
        return None
    return Finding(Verdict.ANOMALOUS, _said(found), period_change=found)


def period_note(case: Case, found: Finding) -> str | None:
    """Return the same beside another fault."""
    seen = case.period_change
    return f"Besides, {_said(seen)}" if seen and found.period_change is None else None


def _said(found: PeriodChange) -> str:
    direction = "longer" if found.percent > 0 else "shorter"
    return (
        f"rate: the timer's period is {abs(found.percent):.1f}% {direction} after loads "
        f"({found.after} times between ticks) than before ({found.before}; exact test, "
        f"p = {found.p:.2g})"
    )
