"""Guests that stopped ticking although they were never loaded: with them, no cell is `clean`.

A save may stop a timer, too. Nobody loads such a guest, so no trial shows it. As no save of it is
known to be good, it is not examined, and a dead console would look the same.
"""

from orchestrator.verdict.case import Case, Finding
from orchestrator.verdict.verdict import Verdict


def stopped_without_load(case: Case) -> Finding | None:
    """Return `inconclusive` if a guest stopped ticking before its first load."""
    said = _said(case)
    if not said:
        return None
    last = f"The last time: {case.stopped_why.rstrip('.')}. " if case.stopped_why else ""
    return Finding(
        Verdict.INCONCLUSIVE,
        f"{said}, so a load is not all that can stop them here",
        trusted=False,
        notes=(
            f"{last}Run it again: if ticks stop again without a load, this is no fault of loads",
        ),
    )


def unloaded_note(case: Case, found: Finding) -> str | None:
    """Return how often ticks stopped without a load, unless the finding says it."""
    said = _said(case)
    if not said or found.why.startswith(said):
        return None
    return said[:1].upper() + said[1:]


def _said(case: Case) -> str:
    counts = {outcome: count for outcome, count in case.stopped_unloaded.items() if count}
    if not counts:
        return ""
    times = sum(counts.values())
    shown = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    return f"ticks stopped without a load {times} time{'s' if times > 1 else ''} ({shown})"
