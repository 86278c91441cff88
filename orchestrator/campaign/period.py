"""Chooses the timer period of a cell whose plan says `auto`, by measuring the host.

A short period makes a campaign quick. It must not be so short that printing fills it, or that
the host's own delays look like late ticks: on a busy host a longer period is chosen.
"""

import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace

from orchestrator.campaign.trouble import INSTANCE_TROUBLE, check_host
from orchestrator.findings.period import (
    MOST_ERROR,
    MOST_PRINTING,
    STOPS_AT,
    PeriodTried,
    gap_error,
    stop_error,
)
from orchestrator.guest.lines import Tick
from orchestrator.guest.saved_state import SavedState
from orchestrator.host.protocol import Host
from orchestrator.plan.cell import Cell
from orchestrator.plan.period import AUTO_PERIODS_NS
from orchestrator.snapshot.protocol import Snapshots
from orchestrator.trial.aim import NoSaveError, Saver
from orchestrator.trial.guest_clock import cycles_between
from orchestrator.trial.limits import Limits
from orchestrator.trial.pace import Pace, Paces
from orchestrator.trial.watch import Heard, Watch
from orchestrator.vm.config import InstanceConfig
from orchestrator.vm.instance import Instance
from orchestrator.vm.launch import launch

#: Ordinary gaps to measure on each vCPU.
GAPS = 20

#: Stops to measure, after `WARM_UP` stops that teach how late a stop takes effect.
STOPS = 12

WARM_UP = 2

#: Phase at which the guest is stopped.
PHASE = 0.5


async def choose_period(
    attempt: Callable[[int], Awaitable[PeriodTried]], ladder_ns: Sequence[int] = AUTO_PERIODS_NS
) -> tuple[int, tuple[PeriodTried, ...]]:
    """Return the shortest period that suits the host, and what was measured.

    If no other period suits the host, the longest is chosen, untried: the host's delays hurt it
    least.

    Args:
        attempt: tries a period.
        ladder_ns: the periods to choose from, the shortest first.
    """
    tried: list[PeriodTried] = []
    for period_ns in ladder_ns[:-1]:
        tried.append(await attempt(period_ns))
        if not tried[-1].why_not:
            return period_ns, tuple(tried)
    return ladder_ns[-1], tuple(tried)


async def measure_period(
    host: Host, cell: Cell, snapshots: Snapshots
) -> tuple[int, tuple[PeriodTried, ...]]:
    """Return the period for a cell on this host, and what was measured."""

    async def attempt(period_ns: int) -> PeriodTried:
        return await try_period(host, cell, snapshots, period_ns)

    ladder_ns = cell.slow_periods_ns if host.slow_uart else cell.auto_periods_ns
    return await choose_period(attempt, ladder_ns)


def measured_config(cell: Cell, period_ns: int) -> InstanceConfig:
    """Return the instance that is measured for a cell.

    It has no disk, as nothing is saved. Its guest never holds its LAPIC in another state than
    armed, which would hold its ticks back.
    """
    config = cell.instance_config(period_ns)
    guest = replace(config.guest, state=SavedState.ARMED)
    return replace(config, guest=guest, disk=False)


async def try_period(host: Host, cell: Cell, snapshots: Snapshots, period_ns: int) -> PeriodTried:
    """Run the cell's guest with a period for some tens of ticks and stops.

    The attempt ends as soon as the period can't suit the host any more. The failure of an
    instance counts as such an end: a longer period may do better.

    Raises:
        InfraError: the host itself has ended.
    """
    try:
        async with launch(host, measured_config(cell, period_ns)) as instance:
            return await _Attempt(instance, snapshots, period_ns).run()
    except INSTANCE_TROUBLE as error:
        check_host(host, error)
        return PeriodTried(period_ns, failed="; ".join(str(error).splitlines()))


def gap_error_of(before: Tick, tick: Tick, pace: Pace) -> float:
    """Return by how many periods of the guest's running time a tick came late; 0 if it did not."""
    ran = cycles_between(before.tsc, tick.tsc) - pace.stolen_cycles(tick)
    return max(0.0, ran / pace.cycles_per_period - 1)


def prints_too_long(paces: Iterable[Pace]) -> bool:
    """Return whether even the fastest lines of a guest take too much of the period.

    A guest's first lines can take three times as long as later ones, while an emulated CPU maps
    the guest's memory.
    """
    known = (pace.print_cycles / pace.cycles_per_period for pace in paces if pace.known)
    return max(known, default=0.0) > MOST_PRINTING


class _Attempt:
    """One instance that ticks with a period, and what was measured on it."""

    def __init__(self, instance: Instance, snapshots: Snapshots, period_ns: int) -> None:
        self._instance = instance
        self._period_ns = period_ns
        self._limits = Limits(period_ns, len(instance.vcpus))
        self._paces = Paces(len(instance.vcpus))
        self._saver = Saver(instance, snapshots, self._paces, self._limits)
        self._gaps: list[float] = []
        self._unjudged: list[tuple[Tick, Tick]] = []
        """Gaps of a vCPU whose pace is not known yet."""
        self._stops: list[float] = []

    async def run(self) -> PeriodTried:
        """Measure gaps, then stops. The first vCPU's gaps between stops count, too."""
        await self._instance.pin()
        for vcpu in self._instance.vcpus:
            await self._measure_gaps(vcpu, GAPS if vcpu else GAPS - self._gaps_at_stops)
        if not self._hopeless():
            await self._measure_stops()
        return self._found()

    @property
    def _gaps_at_stops(self) -> int:
        """Number of gaps that are measured between stops.

        The first tick after a stop may be late. The next tick of a timer that runs by itself
        then comes so much sooner, so that its gap tells nothing.
        """
        return 0 if self._instance.config.timer.reloads else WARM_UP + STOPS - 1

    async def _measure_gaps(self, vcpu: int, count: int) -> None:
        watch = Watch(self._instance, self._limits, vcpu)
        self._unjudged.clear()
        before: Tick | None = None
        for _ in range(count + 1):
            heard = await watch.tick(self._limits.silence_ns, confirm=True)
            if not isinstance(heard, Heard):
                raise NoSaveError(f"waiting for a tick: {heard.why}", heard)
            if before:
                self._note_gap(vcpu, before, heard.line)
                if self._hopeless():
                    return
            before = heard.line

    def _note_gap(self, vcpu: int, before: Tick, tick: Tick) -> None:
        pace = self._paces[vcpu]
        pace.observe(before, tick)
        self._unjudged.append((before, tick))
        if pace.known:
            self._gaps += [gap_error_of(*gap, pace) for gap in self._unjudged]
            self._unjudged.clear()

    async def _measure_stops(self) -> None:
        for number in range(WARM_UP + STOPS):
            tick = await self._saver.stop_at(PHASE)
            if self._saver.gap and self._gaps_at_stops:
                self._note_gap(0, *self._saver.gap)
            stopped = await self._saver.look_at_all("", PHASE)
            error = self._saver.correct_aim(stopped, tick)
            if number >= WARM_UP:
                self._stops.append(error)
            if self._hopeless():
                return

    def _hopeless(self) -> bool:
        """Return whether further ticks and stops can't make the period suit the host."""
        bad = sum(abs(error) > MOST_ERROR for error in self._stops)
        return (
            prints_too_long(self._paces)
            or (len(self._gaps) > 0 and gap_error(self._gaps) > MOST_ERROR)
            or bad > STOPS - math.ceil(STOPS * STOPS_AT)
        )

    def _found(self) -> PeriodTried:
        return PeriodTried(
            self._period_ns,
            printing=round(max(pace.printing_periods for pace in self._paces), 4),
            gap_error=round(gap_error(self._gaps), 4) if self._gaps else None,
            stop_error=round(stop_error(self._stops), 4) if self._stops else None,
            gaps=len(self._gaps),
            stops=len(self._stops),
        )
