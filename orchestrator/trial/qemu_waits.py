"""Waits of QEMU itself, whose main loop fires the timers that are QEMU's own.

A tick of such a timer comes late whenever that loop waits for a CPU.
"""

from orchestrator.findings.outcome import Outcome
from orchestrator.timers.timer import Timer
from orchestrator.vm.instance import Instance

#: Periods by which a tick must be later than QEMU waited for a CPU, to be late by itself.
SLACK = 0.3


def lateness(
    outcome: Outcome, timer: Timer, late: float, past_a_class: float, silent: bool
) -> float | None:
    """Return how late QEMU must have fired a timer to explain an outcome, in periods.

    None if a QEMU that waits for a CPU can't explain it.

    Args:
        outcome: the outcome.
        timer: by which the guest ticks.
        late: by how much the latest tick was late, in periods.
        past_a_class: time from the last class of first tick to the first tick, in periods.
        silent: whether QEMU answered while the late tick was overdue. Then it could fire timers.
    """
    if outcome is Outcome.EARLY:
        return past_a_class
    if outcome is Outcome.EXTRA:
        return 1.0 if timer.reloads else None
    missing = outcome in (Outcome.LATE, Outcome.MISSED, Outcome.RECOVERED)
    return late if missing and not silent else None


async def held_up(instance: Instance, late: float, period_ns: int) -> str:
    """Return how QEMU's waits explain a late tick; an empty text if they do not.

    Args:
        instance: whose tick it was.
        late: how late it was, in periods.
        period_ns: the timer's period.
    """
    if not instance.config.timer_is_qemus:
        return ""
    waited = await instance.waited_ns() / period_ns
    if late - waited >= SLACK:
        return ""
    return (
        f"a tick came {late:.1f} periods late, but QEMU's threads had to wait {waited:.1f} "
        "periods for a CPU"
    )
