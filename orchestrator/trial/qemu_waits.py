"""Waits of QEMU itself, whose main loop fires the timers that are QEMU's own.

A tick of such a timer comes late whenever that loop waits for a CPU.
"""

from orchestrator.vm.instance import Instance

#: Periods by which a tick must be later than QEMU waited for a CPU, to be late by itself.
SLACK = 0.3


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
