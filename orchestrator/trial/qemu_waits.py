"""Waits of QEMU itself for a CPU, which make ticks late.

QEMU's main loop fires the timers that are QEMU's own. A tick of such a timer comes late whenever
that loop waits. A vCPU that sleeps between ticks waits at each tick until it runs.
"""

from collections.abc import Sequence

from orchestrator.findings.outcome import Outcome
from orchestrator.guest.wait import Wait
from orchestrator.timers.gap import Gap
from orchestrator.timers.timer import Timer
from orchestrator.vm.instance import Instance

#: Periods by which a tick must be later than QEMU waited for a CPU, to be late by itself.
SLACK = 0.3

#: Least share of the lateness of several ticks that QEMU's threads must have waited for a CPU, to
#: be its reason. Other threads of the host, such as those that fire KVM's own timers, wait too.
SHARE = 0.5


def counts_waits(instance: Instance) -> bool:
    """Return whether QEMU's waits for a CPU can explain a late tick.

    They can if QEMU fires the timer, or if the guest's vCPUs sleep between ticks.
    """
    config = instance.config
    return config.timer_is_qemus or config.guest.wait is Wait.HALT


async def slowed(instance: Instance, gaps: Sequence[Gap], period_ns: int) -> bool:
    """Return whether ticks that seem to come at a longer period came late one by one.

    A vCPU that sleeps between ticks waits for a CPU at each of them, and does not note it.

    Args:
        instance: whose ticks they are.
        gaps: the times between them.
        period_ns: the timer's period.
    """
    late = sum(gap.periods - gap.ticks * gap.usual for gap in gaps)
    return await _waited(instance, late * period_ns)


async def after_a_wait(instance: Instance, too_soon: Sequence[float], period_ns: int) -> str:
    """Return how the wait of a sleeping vCPU explains an `extra` tick; an empty text if not.

    The next tick of a timer that runs by itself comes too soon after one that waited for its vCPU.

    Args:
        instance: whose tick it was.
        too_soon: how much sooner than a period each such tick came, in periods. Each of them must
            have had a wait of its own before it.
        period_ns: the timer's period.
    """
    total_ns = sum(too_soon) * period_ns
    if not instance.config.timer.reloads or not await _waited(instance, total_ns):
        return ""
    return (
        f"a tick came {max(too_soon, default=0.0):.2f} periods too soon after the one before, for "
        "which the sleeping vCPU had to wait for a CPU"
    )


async def _waited(instance: Instance, late_ns: float) -> bool:
    """Return whether waits of QEMU's threads explain how late the ticks of a sleeping vCPU were.

    The threads of all vCPUs count, and QEMU's other threads.

    Args:
        instance: whose ticks they are.
        late_ns: by how much all of these ticks together were late.
    """
    return instance.config.guest.wait is Wait.HALT and await waited(instance, late_ns)


async def waited(instance: Instance, late_ns: float) -> bool:
    """Return whether QEMU's threads waited for at least half of the time by which ticks were late.

    Args:
        instance: whose ticks they are.
        late_ns: by how much all of these ticks together were late.
    """
    return await instance.waited_ns() >= SHARE * late_ns


def needed_delay(
    outcome: Outcome,
    timer: Timer,
    overdue: float,
    silent: bool,
    too_soon: Sequence[float] = (),
) -> float | None:
    """Return how late QEMU must have fired a timer to explain an outcome, in periods.

    None if a QEMU that waits for a CPU can't explain it.

    Args:
        outcome: the outcome.
        timer: by which the guest ticks.
        overdue: running time past due of the latest tick, in periods.
        silent: whether QEMU answered while the late tick was overdue. Then it could fire timers.
        too_soon: how much sooner than a period each `extra` tick came, in periods.
    """
    if outcome is Outcome.EXTRA:
        if not timer.reloads:
            return None
        return max(*too_soon, SHARE * sum(too_soon)) if too_soon else 1.0
    missing = outcome in (Outcome.LATE, Outcome.MISSED, Outcome.RECOVERED)
    return overdue if missing and not silent else None


async def held_up(instance: Instance, outcome: Outcome, delay: float, period_ns: int) -> str:
    """Return how QEMU's waits explain a late tick; an empty text if they do not.

    QEMU's main loop may hold a tick back without a wait that is measured. Shams show how often a
    tick is `late` by that, and nothing does for the other outcomes.

    Args:
        instance: whose tick it was.
        outcome: the outcome that the tick shows.
        delay: how late QEMU must have fired its timer, in periods.
        period_ns: the timer's period.
    """
    if not instance.config.timer_is_qemus:
        return ""
    waits = await instance.waited_ns() / period_ns
    if delay - waits >= SLACK or (outcome is Outcome.LATE and waits < SHARE * delay):
        return ""
    return (
        f"a tick came {delay:.1f} periods late, but QEMU's threads had to wait {waits:.1f} "
        "periods for a CPU"
    )


async def explain(
    instance: Instance,
    outcome: Outcome,
    overdue: float,
    silent: bool,
    too_soon: Sequence[float],
    period_ns: int,
) -> str:
    """Return how waits of QEMU for a CPU explain an outcome; an empty text if they do not.

    Args:
        instance: whose tick shows the outcome.
        outcome: the outcome.
        overdue: running time past due of the latest tick, in periods.
        silent: whether QEMU answered while the late tick was overdue.
        too_soon: how much sooner than a period each `extra` tick came, in periods.
        period_ns: the timer's period.
    """
    delay = needed_delay(outcome, instance.config.timer, overdue, silent, too_soon)
    why = "" if delay is None else await held_up(instance, outcome, delay, period_ns)
    if outcome is Outcome.EXTRA:
        why = why or await after_a_wait(instance, too_soon, period_ns)
    return why
