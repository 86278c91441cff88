"""The rule of a timer whose period is longer after loads than before them.

A period that is some percent too long makes no tick late by itself. So all times between ticks
that came when they were due are compared: those before the first load of a guest with
those after loads. A busy host lengthens some of them, but hardly ever nearly all.
"""

from dataclasses import dataclass

from orchestrator.stats.exceed import exceedance_p
from orchestrator.verdict.case import Case, Finding, Gaps
from orchestrator.verdict.verdict import Verdict

#: Probability that a timer is called slower by mistake in any cell of a run.
ERROR = 0.01

#: Share of the times after loads that must be longer.
LEAST_SHARE = 0.9

#: Part of a period by which they must be longer, at least.
LEAST_EXCESS = 0.015

#: Time by which they must be longer besides: interrupts come late by so much, now and then.
LATENCY_NS = 200_000


@dataclass(frozen=True, slots=True)
class Slower:
    """Times between ticks that are longer after loads than before."""

    percent: float
    """By how much, from median to median."""
    p: float


def slower(gaps: Gaps, cells: int) -> Slower | None:
    """Return by how much the times after loads are longer; None if the test does not show it.

    Args:
        gaps: the times before and after loads.
        cells: cells of the run, which share the error.
    """
    before, after = sorted(gaps.before), sorted(gaps.after)
    if not (before and after):
        return None
    rank = (len(before) + 1) // 2
    least = before[rank - 1] * (1 + LEAST_EXCESS + LATENCY_NS / gaps.period_ns)
    below = sum(gap <= least for gap in after)
    if below > (1 - LEAST_SHARE) * len(after):
        return None
    p = exceedance_p(len(before), rank, len(after), below)
    if p > ERROR / cells:
        return None
    return Slower(100 * (after[len(after) // 2] / before[rank - 1] - 1), p)


def slower_after_loads(case: Case) -> Finding | None:
    """Return `anomalous` if the timer's period is longer after loads."""
    found = slower(case.gaps, case.tally.cells)
    return Finding(Verdict.ANOMALOUS, _said(case, found)) if found else None


def slower_note(case: Case, found: Finding) -> str | None:
    """Return the same beside another fault."""
    seen = slower(case.gaps, case.tally.cells)
    if seen is None or found.why == _said(case, seen):
        return None
    return f"Besides, {_said(case, seen)}"


def _said(case: Case, found: Slower) -> str:
    gaps = case.gaps
    return (
        f"rate: the timer's period is {found.percent:.1f}% longer after loads "
        f"({len(gaps.after)} times between ticks) than before ({len(gaps.before)}; exact test, "
        f"p = {found.p:.2g})"
    )
