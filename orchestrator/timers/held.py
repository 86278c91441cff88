"""The states of the LAPIC in which a guest can be saved, and what each means for its ticks.

The guest brings about the state after each tick and holds it for a while. A save is taken
within this *hold*. After a load the guest goes on with the rest of the hold, and then ends the
state.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from orchestrator.findings.outcome import Outcome
from orchestrator.guest.saved_state import SavedState
from orchestrator.timers.first_tick import ResumeTiming

#: Earliest and latest time of each class of first tick, in periods.
Due: TypeAlias = Mapping[Outcome, tuple[float, float]]


def _at_the_end(due: Due, left: float, _resumed: ResumeTiming) -> Due:
    """Let the tick wait for the end of the hold, whatever the load did to the timer."""
    return {Outcome.IMMEDIATE: (left, left)}


def _not_before_the_end(due: Due, left: float, _resumed: ResumeTiming) -> Due:
    """Let a tick that falls due in the hold wait for its end; the timer runs as after any load."""
    return {kind: (max(low, left), max(high, left)) for kind, (low, high) in due.items()}


def _a_period_after_the_end(_due: Due, left: float, resumed: ResumeTiming) -> Due:
    """Let a period begin at the end of the hold, where the guest arms its timer.

    KVM keeps the interrupt of a masked timer that expires, and delivers it when the guest unmasks
    LVTT (`apic_has_pending_timer` in arch/x86/kvm/lapic.c). A kernel that lets a restored timer
    expire in the load, and one whose period ends in a slow load or resume, leave such a tick.
    """
    held = {Outcome.FULL_PERIOD: (left + 1, left + 1)}
    if not resumed.lapic_stood:
        held[Outcome.IMMEDIATE] = (left, left)
    return held


@dataclass(frozen=True, slots=True)
class Held:
    """The consequences of a state for saves and ticks."""

    conditions: frozenset[str]
    """Conditions of a stopped vCPU that the state brings about. In any other state each of
    them makes a save ineligible."""
    may_wait: bool
    """Whether the tick may be pending in a save."""
    saved_after: float
    """Time from the tick at which a period begins to where the phase 0 of a save lies, in
    periods."""
    due: Callable[[Due, float, ResumeTiming], Due]
    """Returns when the first tick is due, from when it would be due without the hold, from
    the rest of the hold in periods, and from when the VM resumed."""
    gap: Callable[[float], float]
    """Returns the time between two ticks from the time between a tick and the end of its
    hold, in periods."""


HELD: Mapping[SavedState, Held] = {
    SavedState.PENDING: Held(
        # The timer expires a period after the tick.
        frozenset({"pending", "interrupts off"}), True, 0.85, _at_the_end, lambda held: held
    ),
    SavedState.IN_SERVICE: Held(
        frozenset({"in service"}), False, 0.0, _not_before_the_end, lambda held: max(1.0, held)
    ),
    SavedState.MASKED: Held(
        frozenset({"masked"}), False, 0.0, _a_period_after_the_end, lambda held: held + 1
    ),
    SavedState.TPR: Held(frozenset({"held back"}), True, 0.0, _at_the_end, lambda held: held),
}  # fmt: skip
