"""Times between ticks that came when they were due: they show the timer's period.

A tick that waited for its vCPU comes as soon as the vCPU runs. One that comes when the vCPU has
run for a while was due at that moment, whatever was stolen before.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from orchestrator.findings.save import Save
from orchestrator.guest.lines import Tick
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.wait import Wait
from orchestrator.timers.gap import DELIVERY_NS
from orchestrator.trial.guest_clock import cycles_between
from orchestrator.trial.pace import Pace
from orchestrator.vm.config import InstanceConfig
from orchestrator.vm.instance import Instance

#: Periods without an interrupt being taken in which two ticks may become one.
_MERGES = 0.9

#: Longest turn of the wait loop that a guest does not note, in periods.
_SHORT_TURN = 0.02


def show_the_period(config: InstanceConfig) -> bool:
    """Return whether the times between a guest's ticks show the period of its timer.

    QEMU's main loop may hold ticks of its own timers back without a trace in the guest, and a
    guest may hold them back itself. A guest that sleeps does not note when it waited for a CPU. A
    kernel counts many interrupts to a tick. It takes two that come late as one, and arms its timer
    by its own clock, so its ticks come more rarely while the host is slow to deliver interrupts.
    """
    guest = config.guest
    busy = guest.wait is Wait.BUSY and guest.state is SavedState.ARMED
    return busy and not config.timer_is_qemus and not config.program.kernel_tick_ns


def quiet_gaps(ticks: Sequence[Tick], pace: Pace, config: InstanceConfig) -> tuple[float, ...]:
    """Return the times between ticks that came when they were due, in periods.

    They are periods of the TSC's frequency; there are none if nothing tells it.

    Args:
        ticks: successive ticks of a vCPU without a load between them.
        pace: the vCPU's pace.
        config: the guest and its timer.
    """
    period = pace.known_cycles
    if not period:
        return ()
    at_once = DELIVERY_NS / config.guest.period_ns * period
    pairs = (
        _reloaded(ticks, period, at_once) if config.timer.reloads else _armed(ticks, pace, at_once)
    )
    return tuple(
        round(cycles_between(before.tsc, tick.tsc) / period / (tick.sequence - before.sequence), 4)
        for before, tick in pairs
    )


def _armed(ticks: Sequence[Tick], pace: Pace, at_once: float) -> Iterator[tuple[Tick, Tick]]:
    """Yield pairs of ticks of a timer that the guest arms in the handler of each tick.

    Only the second of the two must have come in time. A guest that was held up while it printed
    may have armed its timer after that, or have missed the moment at which it was due.
    """
    for before, tick in itertools.pairwise(ticks):
        waited = cycles_between(before.tsc, tick.tsc) - tick.print_cycles
        ran = tick.since_last if tick.longest else waited
        held_up = pace.stolen_cycles(tick) - tick.stolen
        if tick.sequence == before.sequence + 1 and ran > at_once >= held_up:
            yield before, tick


def _reloaded(ticks: Sequence[Tick], period: int, at_once: float) -> Iterator[tuple[Tick, Tick]]:
    """Yield pairs of ticks of a timer that runs by itself.

    Both must have come in time; others between them may have been late. While the vCPU takes no
    interrupt for a period, two ticks become one. Then the numbers of the ticks do not count the
    periods, so no pair spans this. A tick also waits while the guest prints the line of the tick
    before. So the first tick of all counts only for the time after it.
    """
    began: Tick | None = None
    for before, tick in itertools.pairwise(ticks):
        cycles = cycles_between(before.tsc, tick.tsc)
        blocked = tick.longest + tick.print_cycles
        if tick.sequence != before.sequence + 1 or blocked >= _MERGES * period:
            began = None
        ran = cycles - tick.print_cycles
        in_time = tick.since_last > at_once if tick.longest else ran > _SHORT_TURN * period
        if in_time:
            if began:
                yield began, tick
            began = tick


def with_gaps(instance: Instance, save: Save, paces: Sequence[Pace]) -> Save:
    """Return a save with the quiet gaps of a guest that was never loaded, each of them once."""
    heard, instance.heard_unloaded = instance.heard_unloaded, {}
    slewed = instance.clock_mark.slewed(instance.clock)
    if save.generation or slewed or not show_the_period(instance.config):
        return save
    vcpus = (
        replace(part, gaps=quiet_gaps(heard.get(part.vcpu, []), paces[part.vcpu], instance.config))
        for part in save.vcpus
    )
    return replace(save, vcpus=tuple(vcpus))
