"""How fast the guest makes progress: the clock that measures time across a load.

A guest counts its progress (the firmware: turns of its busy-wait loop), but not while it
prints. Printing is part of each period, so each tick also says how many TSC cycles it took.
TSC differences are taken only between two ticks without a load between them.
"""

import collections
import statistics

from orchestrator.guest.lines import Tick
from orchestrator.trial.stop_delay import StopDelay

_TSC_MASK = (1 << 64) - 1

#: Number of recent intervals that are remembered.
WINDOW = 32


class Pace:
    """Progress of one vCPU in an undisturbed period."""

    def __init__(self) -> None:
        self._rates: collections.deque[float] = collections.deque(maxlen=WINDOW)
        self._cycles: collections.deque[int] = collections.deque(maxlen=WINDOW)
        self._printing: collections.deque[float] = collections.deque(maxlen=WINDOW)

    def observe(self, before: Tick, tick: Tick) -> None:
        """Learn from two successive ticks without a stop or load between them."""
        cycles = (tick.tsc - before.tsc) & _TSC_MASK
        counted = cycles - tick.print_cycles
        if tick.sequence != before.sequence + 1 or counted < cycles / 4 or cycles > 1 << 60:
            return
        self._cycles.append(cycles)
        self._rates.append(tick.progress / counted)
        self._printing.append(tick.print_cycles / cycles)

    @property
    def known(self) -> bool:
        """Whether enough intervals were seen."""
        return len(self._rates) >= 3

    @property
    def printing_periods(self) -> float:
        """Median share of a period that the guest spends on printing a line."""
        return statistics.median(self._printing) if self._printing else 0.0

    @property
    def cycles_per_period(self) -> float:
        """Median of the TSC cycles in a period."""
        return statistics.median(self._cycles)

    @property
    def progress_per_period(self) -> float:
        """Progress in a period if no other program takes CPU time from the vCPU.

        It is an upper quantile of the rates, as other programs can only slow the guest,
        times the median length of a period.
        """
        rates = sorted(self._rates)
        return rates[(len(rates) * 9) // 10] * statistics.median(self._cycles)


class Paces(collections.UserList[Pace]):
    """The pace of each vCPU of an instance, and how late `stop` takes effect."""

    def __init__(self, vcpus: int = 1) -> None:
        super().__init__(Pace() for _ in range(vcpus))
        self.stop_delay = StopDelay()
