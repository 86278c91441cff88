"""Compares a first tick with the TSC deadline that the guest had written before its save.

A timer in TSC-deadline mode fires when the guest's TSC reaches the deadline, wherever a load leaves
the TSC. So a tick before its deadline is early, and what was left of the deadline when the guest
resumed is when its tick was due.
"""

from orchestrator.findings.save import VcpuSave
from orchestrator.guest.lines import Tick
from orchestrator.timers.first_tick import Span
from orchestrator.timers.gap import EXTRA
from orchestrator.trial.guest_clock import cycles_between
from orchestrator.trial.pace import Pace
from orchestrator.trial.tsc_offset import offsets_in_hardware
from orchestrator.vm.instance import Instance

#: Time before its deadline, in periods, from which on a tick is early.
EARLY = 1 - EXTRA


def past_deadline(instance: Instance, save: VcpuSave, tick: Tick, pace: Pace) -> float | None:
    """Return by how much a tick came after its deadline, by the guest's TSC, in periods.

    It is negative if the tick came before. None if the guest's TSC need not be the TSC to which
    its host compares the deadline, or if the guest arms its timer once more before the tick.
    """
    config = instance.config
    if not (save.deadline and config.timer.fires_by_tsc) or save.hold or config.timer_is_qemus:
        return None
    if not offsets_in_hardware(instance.host.facts):
        return None
    return cycles_between(save.deadline, tick.tsc) / pace.cycles_per_period


def until_deadline(past: float | None, span: Span) -> tuple[float, float] | None:
    """Return how long after the resume the deadline came, at least and at most, in periods.

    Args:
        past: by how much the tick came after it; None if nothing tells.
        span: when the tick came.
    """
    if past is None:
        return None
    return max(0.0, span.low - past), max(0.0, span.high - past)
