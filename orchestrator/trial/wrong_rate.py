"""Whether ticks show that a timer runs at another rate than in the save."""

from collections.abc import Sequence

from orchestrator.findings.outcome import Outcome
from orchestrator.findings.save import VcpuSave
from orchestrator.guest.lapic import parse_lapic
from orchestrator.qmp.errors import CommandFailedError
from orchestrator.timers.gap import SURE_RATE, Gap, steady_period
from orchestrator.trial.qemu_waits import held_up, slowed
from orchestrator.vm.instance import Instance


async def wrong_rate(
    instance: Instance, save: VcpuSave, gaps: Sequence[Gap], period_ns: int
) -> str:
    """Return the wrong period that successive gaps show; an empty text if they show none.

    Args:
        instance: whose ticks they are.
        save: the vCPU's state in the save.
        gaps: the gaps from the first wrong one on.
        period_ns: the timer's period.
    """
    reloads = instance.config.timer.reloads
    period = steady_period(gaps, reloads=reloads)
    if period is None:
        return ""
    if period > 1 and (
        await held_up(instance, Outcome.RATE, period - 1, period_ns)
        or await slowed(instance, gaps, period_ns)
    ):
        return ""
    said = f"{len(gaps)} ticks came every {period:.2f} periods"
    if reloads or period >= SURE_RATE:
        return said
    # The guest arms the timer at each tick. Early ticks are more likely extra ones, and a host
    # can make many in a row a little late. So the timer itself must say it.
    differs = await timer_differs(instance, save)
    return said + differs if differs else ""


async def timer_differs(instance: Instance, save: VcpuSave) -> str:
    """Return how the LAPIC's timer differs from the save; an empty text if it does not."""
    try:
        lapic = parse_lapic(await instance.monitor.hmp("info lapic", vcpu=save.vcpu))
    except (CommandFailedError, ValueError):
        return ""
    now, then = (lapic.tmict, lapic.divide), (save.tmict, save.divide or lapic.divide)
    if now == then:
        return ""
    return (
        f": TMICT is {now[0]} with divisor {now[1]}, and was {then[0]} with divisor "
        f"{then[1]} in the save"
    )
