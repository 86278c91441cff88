"""The rule of first ticks that come so long after a load, whatever was left of the period."""

from orchestrator.verdict.case import Case, Finding
from orchestrator.verdict.verdict import Verdict


def first_ticks_fixed(case: Case) -> Finding | None:
    """Return `anomalous` if the first ticks do not follow what their saves had left."""
    said = _said(case)
    return Finding(Verdict.ANOMALOUS, said) if said else None


def fixed_tick_note(case: Case, found: Finding) -> str | None:
    """Return the same beside another fault."""
    said = _said(case)
    return f"Besides, {said}" if said and not found.why.startswith(said) else None


def _said(case: Case) -> str:
    """Return when the first ticks came; empty if they follow what was left."""
    fixed = case.fixed_tick
    if fixed is None:
        return ""
    return (
        f"early: after loads of {fixed.saves} saves the first tick came {fixed.at:.2f} periods "
        f"after the guest resumed, whatever the saves had left of it ({fixed.least_left:.2f} to "
        f"{fixed.most_left:.2f}): no timer that a load restores does this"
    )
