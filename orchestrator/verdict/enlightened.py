"""Hyper-V enlightenments of the guest's CPU model, under which a load may be another case."""

from orchestrator.bugs.hyperv import INHIBITING
from orchestrator.verdict.case import Case, Finding


def enlightened_note(case: Case, found: Finding) -> str | None:
    """Return what the guest's enlightenments leave untested."""
    names = case.untested_enlightenments
    if not names or not found.says_rates:
        return None
    said = f"The CPU model has the Hyper-V enlightenments {', '.join(names)}: a Windows guest "
    said += "would tick by hv-stimer, which was not tested"
    if INHIBITING & set(names):
        said += ", and KVM may inhibit APICv for such a guest (always before kernel 5.15)"
    return said
