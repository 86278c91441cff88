"""The second witness of losses that were diagnosed as the known bug.

A timer that the kernel never started leaves the testimony of the bug. So a loss makes a host
`affected` without reserve only if a second witness agrees: the kernel's trace, the direct test on
the same host, or, in a lab, the same modules without APICv. A witness that contradicts makes
the cell `anomalous`.
"""

from collections.abc import Sequence

from orchestrator.bugs.catalogue import APICV_BUG, NARROW_RACE
from orchestrator.bugs.exposure import ExposureState
from orchestrator.findings.cause import INTERRUPT_LOST
from orchestrator.findings.outcome import Outcome
from orchestrator.findings.series import DirectCounts
from orchestrator.findings.witness import Says, Statement, TraceReading, Witness
from orchestrator.guest.saved_state import SavedState
from orchestrator.journal.counts import CellState
from orchestrator.journal.fold import RunState
from orchestrator.verdict.case import Case, Finding
from orchestrator.verdict.pattern import Pattern, direct_statement, read_pattern, shown
from orchestrator.verdict.verdict import Verdict

#: Loads without APICv that lose nothing agree only if, at the loss rate with APICv, so many loads
#: would all be spared with at most this probability.
MOST_BY_CHANCE = 0.05

#: First ticks after a whole period that tell which kernel this is. A few could be measured wrongly.
_FEWEST_FIRST_TICKS = 10

#: Share of first ticks at once with which a kernel still counts as one that starts the period anew.
_MOST_AT_ONCE = 0.05


def witnesses(state: CellState, run: RunState) -> tuple[Statement, ...]:
    """Return what the witnesses of a cell say of its losses."""
    if not state.bug_losses:
        return ()
    found = [_trace(state), _direct(state), _without_apicv(state, run), _first_ticks(state)]
    return tuple(each for each in found if each is not None)


def contradicted(case: Case) -> Finding | None:
    """Return `anomalous` if a witness says that the losses are not the known bug's."""
    tally = case.tally
    against = [each.why for each in case.witnesses if each.says is Says.CONTRADICTS]
    immune = case.exposure.state is ExposureState.NOT_EXPOSED
    if tally.bug_losses < case.sure or immune or not against:
        return None
    lost = f"{tally.outcomes[Outcome.LOST]} lost in {tally.trials} loads"
    return Finding(
        Verdict.ANOMALOUS,
        f"{lost}, with the testimony of the {APICV_BUG.name}, but {' and '.join(against)}",
    )


def testified(case: Case) -> str:
    """Return how an `affected` goes on: with the witnesses that agree, or with whom to ask."""
    agreeing = [each.why for each in case.witnesses if each.says is Says.AGREES]
    if agreeing:
        return f", and a second witness agrees: {', and '.join(agreeing)}"
    undecided = [each.why for each in case.witnesses if each.says is Says.UNDECIDED]
    return f" ({unwitnessed(case.ask_witness_by, undecided)})"


def unwitnessed(ask_by: str, undecided: Sequence[str] = ()) -> str:
    """Return that a lost timer may never have been started, as no second witness agrees.

    Args:
        ask_by: the command that asks a second witness.
        undecided: what witnesses said that can't tell.
    """
    grounds = "; ".join([*undecided, f"{ask_by} asks one"])
    return f"expired or never started: no second witness tells which; {grounds}"


def direct_note(case: Case, finding: Finding) -> str | None:
    """Return what the direct test lost on the same host, where no load's verdict says it."""
    if case.direct is None:
        return None
    pattern, lost = read_pattern(case.direct.series), shown(case.direct.series)
    if pattern is Pattern.NARROW:
        return (
            f"This kernel has the {NARROW_RACE.name}: the direct test lost {lost}. It "
            f"{NARROW_RACE.effect}"
        )
    if not lost or case.tally.outcomes[Outcome.LOST]:
        return None
    alike = f", as the {APICV_BUG.name} does" if pattern is Pattern.KNOWN_BUG else ""
    return (
        f"The direct test (KVM_SET_LAPIC without QEMU) lost {lost} on this host{alike}, though no "
        "load of this cell lost its timer"
    )


def _trace(state: CellState) -> Statement | None:
    vanished = state.traced[TraceReading.VANISHED]
    never = state.traced[TraceReading.NEVER]
    if vanished:
        why = (
            f"the kernel's trace shows in {vanished} of {state.bug_losses} losses that the "
            "interrupt was accepted and vanished"
        )
        if never:
            why += f" (and of {never} further loads that nothing was ever posted)"
        return Statement(Witness.TRACE, Says.AGREES, why)
    if never:
        why = f"the kernel's trace of {never} loads shows that nothing was ever posted"
        return Statement(Witness.TRACE, Says.CONTRADICTS, why)
    if state.traced[TraceReading.UNREADABLE]:
        return Statement(Witness.TRACE, Says.UNDECIDED, "the kernel's trace can't tell")
    return None


def _direct(state: CellState) -> Statement | None:
    found = state.direct_test
    if isinstance(found, DirectCounts):
        return direct_statement(found.series, found.control, APICV_BUG.name)
    if found:
        return Statement(Witness.DIRECT, Says.UNDECIDED, f"the direct test was not run: {found}")
    return None


def _without_apicv(state: CellState, run: RunState) -> Statement | None:
    """Return what a lab's arm with the same modules shows without APICv."""
    twins = [other for other in run.cells.values() if _is_twin(state, other)]
    trials = sum(twin.trials - twin.outcomes[Outcome.UNKNOWN] for twin in twins)
    lost = sum(twin.causes[cause] for twin in twins for cause in INTERRUPT_LOST)
    if not trials:
        return None
    if lost:
        why = f"the same modules without APICv lose {lost} of {trials} loads as well"
        return Statement(Witness.NO_APICV, Says.CONTRADICTS, why)
    why = f"the same modules without APICv lose none of {trials} loads"
    by_chance = (1 - state.bug_losses / state.trials) ** trials
    if by_chance > MOST_BY_CHANCE:
        return Statement(Witness.NO_APICV, Says.UNDECIDED, f"{why}, which are too few to tell")
    return Statement(Witness.NO_APICV, Says.AGREES, why)


def _first_ticks(state: CellState) -> Statement | None:
    """Return what the other loads show: a kernel that starts the period anew can't have the bug."""
    if state.cell.state is not SavedState.ARMED:
        return None
    anew, at_once = (state.outcomes[each] for each in (Outcome.FULL_PERIOD, Outcome.IMMEDIATE))
    if anew < _FEWEST_FIRST_TICKS or at_once > _MOST_AT_ONCE * anew:
        return None
    why = (
        f"the first tick came a whole period after {anew} other loads and at once after {at_once}: "
        "a kernel without commit 8e6ed96cdd50 lets no timer expire inside KVM_SET_LAPIC"
    )
    return Statement(Witness.FIRST_TICKS, Says.CONTRADICTS, why)


def _is_twin(state: CellState, other: CellState) -> bool:
    """Return whether another cell has the same modules without APICv, and else a like guest."""
    lab, without = state.lab, other.lab
    if lab is None or without is None or not lab.apicv or without.apicv:
        return False
    guests = [
        (cell.accel, cell.irqchip, cell.mode, cell.state) for cell in (state.cell, other.cell)
    ]
    same_modules = (lab.kernel, lab.variant) == (without.kernel, without.variant)
    return same_modules and guests[0] == guests[1]
