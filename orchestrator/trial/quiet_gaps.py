"""Times between ticks that came when they were due: they show the timer's period.

A tick that waited for its vCPU comes as soon as the vCPU runs. One that comes when the vCPU has
run for a while was due at that moment, whatever was stolen before.
"""

import itertools
from collections.abc import Sequence
from dataclasses import replace

from orchestrator.findings.save import Save
from orchestrator.guest.lines import Tick
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.wait import Wait
from orchestrator.timers.gap import LATE_NS
from orchestrator.trial.guest_clock import cycles_between
from orchestrator.trial.pace import Pace
from orchestrator.vm.config import InstanceConfig
from orchestrator.vm.instance import Instance


def show_the_period(config: InstanceConfig) -> bool:
    """Return whether the times between a guest's ticks show the period of its timer.

    QEMU's main loop may hold ticks of its own timers back without a trace in the guest, and a
    guest may hold them back itself. A guest that sleeps does not note when it waited for a CPU.
    """
    guest = config.guest
    busy = guest.wait is Wait.BUSY and guest.state is SavedState.ARMED
    return busy and not config.timer_is_qemus


def quiet_gaps(ticks: Sequence[Tick], pace: Pace, config: InstanceConfig) -> tuple[float, ...]:
    """Return the times between ticks that came when they were due, in periods.

    They are periods of the TSC's frequency; there are none if nothing tells it. The guest arms a
    one-shot timer in the handler of a tick, so the tick before may have come late. A timer that
    runs by itself does not wait for the handler: between two ticks in time, others may be late.
    """
    period = pace.known_cycles
    at_once = LATE_NS / config.guest.period_ns * period
    in_time = [tick for tick in ticks if not tick.longest or tick.since_last > at_once]
    if config.timer.reloads:
        pairs = list(itertools.pairwise(in_time))
    else:
        successors = {tick.sequence: tick for tick in in_time}
        pairs = [(tick, after) for tick in ticks if (after := successors.get(tick.sequence + 1))]
    return tuple(
        round(cycles_between(before.tsc, tick.tsc) / period / (tick.sequence - before.sequence), 4)
        for before, tick in pairs
        if period and tick.sequence > before.sequence
    )


def with_gaps(instance: Instance, save: Save, paces: Sequence[Pace]) -> Save:
    """Return a save with the quiet gaps of a guest that was never loaded, each of them once."""
    heard, instance.heard_unloaded = instance.heard_unloaded, {}
    if save.generation or not show_the_period(instance.config):
        return save
    vcpus = (
        replace(part, gaps=quiet_gaps(heard.get(part.vcpu, []), paces[part.vcpu], instance.config))
        for part in save.vcpus
    )
    return replace(save, vcpus=tuple(vcpus))
