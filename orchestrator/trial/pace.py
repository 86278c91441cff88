"""How fast the guest spins: the clock by which progress across a load is measured.

The guest counts turns of its busy-wait loop, but not while it prints. Printing
is part of each period, so a tick line also says how many TSC cycles that took.
TSC differences are taken only between two ticks with no load between them.
"""

import collections
import statistics

from orchestrator.guest.lines import Tick

_TSC_MASK = (1 << 64) - 1

#: Intervals remembered.
WINDOW = 32


class Pace:
    """Spins in a period that is not disturbed."""

    def __init__(self) -> None:
        self._rates: collections.deque[float] = collections.deque(maxlen=WINDOW)
        self._cycles: collections.deque[int] = collections.deque(maxlen=WINDOW)
        self._printing: collections.deque[float] = collections.deque(maxlen=WINDOW)

    def observe(self, before: Tick, tick: Tick) -> None:
        """Learn from two successive ticks, with neither stop nor load between them."""
        cycles = (tick.tsc - before.tsc) & _TSC_MASK
        spinning = cycles - tick.print_cycles
        if tick.sequence != before.sequence + 1 or spinning < cycles / 4 or cycles > 1 << 60:
            return
        self._cycles.append(cycles)
        self._rates.append(tick.spins / spinning)
        self._printing.append(tick.print_cycles / cycles)

    @property
    def known(self) -> bool:
        """Whether enough has been seen."""
        return len(self._rates) >= 3

    @property
    def printing_periods(self) -> float:
        """Share of a period that a line takes to print: the middle one of those seen."""
        return statistics.median(self._printing) if self._printing else 0.0

    @property
    def spins_per_period(self) -> float:
        """Spins in a period that no other load on the host has shortened.

        An upper quantile of the rates, as other load can only take spins away, times
        the middle length of a period.
        """
        rates = sorted(self._rates)
        return rates[(len(rates) * 9) // 10] * statistics.median(self._cycles)


class Paces(collections.UserList[Pace]):
    """The pace of each vCPU of an instance, and how late it stops when it is told to."""

    def __init__(self, vcpus: int = 1) -> None:
        super().__init__(Pace() for _ in range(vcpus))
        self.late_ns = 0.0
        """From when a stop is due to when the vCPUs stand still."""
