"""Which kind of first tick a load was followed by."""

from dataclasses import dataclass

from orchestrator.findings.outcome import FirstTick, Outcome

#: How far a first tick may lie from where its class puts it, in periods.
TOLERANCE = 0.15


#: Progress and wall time must agree to this, in periods, before timing says anything.
AGREEMENT = 0.25


#: From here on, in periods, a tick is missing. Both clocks must say so.
MISSING = 1.5


@dataclass(frozen=True, slots=True)
class WentOn:
    """When a loaded machine went on, in periods."""

    since_load: float = 0.0
    """From the end of the load until it was told to. A LAPIC that does not stop with its
    machine runs in that time; of one that does it is 0."""
    answering: float = 0.0
    """Until it said that it does: it may have gone on at any time in it."""
    lapic_stood: bool = False
    """Whether the LAPIC stands still with its machine, and so keeps what remains."""


AT_ONCE = WentOn()


def classify(first: FirstTick, phase: float, went_on: WentOn = AT_ONCE) -> tuple[Outcome, int]:
    """Say which kind of first tick this is, and how many periods went without one.

    In the middle of the period the kinds lie further apart than what a measurement may be
    off. Early in it, what is left of a period is nearly a full one; late, it is nearly
    nothing: a first tick that fits two kinds is `indistinct`. So it is where the machine
    took long to go on: by then a part of the full period had passed.

    Args:
        first: when it came.
        phase: how far into the period the save was taken, 0 to 1.
        went_on: when the machine did.
    """
    agreed = min(first.periods, first.wall_periods)
    if agreed >= MISSING:
        return Outcome.MISSED, round(agreed) - 1 or 1
    behind = first.wall_periods - first.periods
    if not -AGREEMENT <= behind <= AGREEMENT + went_on.answering:
        return Outcome.INDISTINCT, 0
    full = 1 - went_on.since_load
    due = {
        Outcome.IMMEDIATE: (0.0, 0.0),
        # The load's answer took about as long to arrive: it had ended before.
        Outcome.FULL_PERIOD: (full - 2 * went_on.answering, full),
    }
    # A kernel's LAPIC keeps nothing, as QEMU restores no current count. To say that one did
    # takes better timing than where the machine took long to go on.
    if went_on.lapic_stood or went_on.answering <= TOLERANCE:
        due[Outcome.REMAINING] = (1 - phase, 1 - phase)
    at = max(0.0, first.periods)
    fitting = [
        kind for kind, (low, high) in due.items() if low - TOLERANCE <= at <= high + TOLERANCE
    ]
    return (fitting[0] if len(fitting) == 1 else Outcome.INDISTINCT), 0
