"""The rule of a timer whose period is longer or shorter after loads than before them."""

from orchestrator.journal.counts import CellState
from orchestrator.verdict.case import Case, Finding
from orchestrator.verdict.period_change import Gaps, PeriodChange, period_change
from orchestrator.verdict.verdict import Verdict


def period_changes(state: CellState, cells: int) -> tuple[PeriodChange, ...]:
    """Return the changes of the vCPUs' periods that a cell's times between ticks show.

    Args:
        state: the cell.
        cells: cells of the run, which share the error.
    """
    samples, period_ns, vcpus = state.gaps, state.period_ns or 1, state.cell.vcpus
    found = (
        period_change(
            Gaps(samples.before.get(vcpu, ()), samples.after.get(vcpu, ()), period_ns),
            cells * vcpus,
            vcpu,
        )
        for vcpu in range(vcpus)
    )
    return tuple(each for each in found if each)


def period_changed(case: Case) -> Finding | None:
    """Return `anomalous` if the timer's period is another one after loads."""
    if not case.period_changes:
        return None
    return Finding(Verdict.ANOMALOUS, _said(case), tells_periods=True)


def period_note(case: Case, found: Finding) -> str | None:
    """Return the same beside another fault."""
    return f"Besides, {_said(case)}" if case.period_changes and not found.tells_periods else None


def _said(case: Case) -> str:
    """Return the change of the first vCPU that shows one, and the numbers of the others."""
    first, *others = case.period_changes
    on = f" of vCPU {first.vcpu}" if case.tally.vcpus > 1 else ""
    direction = "longer" if first.percent > 0 else "shorter"
    said = (
        f"rate: the timer's period{on} is {abs(first.percent):.1f}% {direction} after loads "
        f"({first.after} times between ticks) than before ({first.before}; exact test, "
        f"p = {first.p:.2g})"
    )
    if others:
        said += f", and that of vCPU {', '.join(str(each.vcpu) for each in others)} changed as well"
    return said
