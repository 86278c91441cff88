"""How fast the guest makes progress, and how long its periods are.

A guest counts its progress (the firmware: turns of its busy-wait loop), but not while it
prints. Each tick says how many TSC cycles it took to print the last line, and for how many the
vCPU did not run. TSC differences are taken only between two ticks without a load between them.
"""

import collections
import statistics

from orchestrator.findings.arrival import Arrival
from orchestrator.guest.lines import Tick
from orchestrator.trial.clocks import Clocks
from orchestrator.trial.guest_clock import cycles_between
from orchestrator.trial.kvmclock_spread import KvmclockSpread
from orchestrator.trial.stop_delay import StopDelay
from orchestrator.trial.tsc_answers import TscAnswers
from orchestrator.trial.tsc_skew import TscSkew

#: Number of recent intervals that are remembered.
WINDOW = 32

#: Least part of a period in which the guest must have run for its rate to be learnt.
_LEAST_RUN = 0.1


class Pace:
    """Progress of one vCPU in an undisturbed period."""

    def __init__(self, clocks: Clocks | None = None) -> None:
        self._rates: collections.deque[float] = collections.deque(maxlen=WINDOW)
        self._cycles: collections.deque[int] = collections.deque(maxlen=WINDOW)
        self._printing: collections.deque[int] = collections.deque(maxlen=WINDOW)
        self._waits: collections.deque[int] = collections.deque(maxlen=WINDOW)
        self.last: Arrival | None = None
        """The last tick that was followed after a load; None once the guest was stopped again."""
        self.clocks = clocks or Clocks()
        """The vCPU's clocks in the host's time."""
        self.known_cycles = 0
        """TSC cycles in a period, from the TSC's frequency and not from the ticks; 0 if
        nothing tells the frequency."""

    def observe(self, before: Tick, tick: Tick) -> None:
        """Learn from two successive ticks without a stop or load between them."""
        cycles = cycles_between(before.tsc, tick.tsc)
        ran = cycles - tick.print_cycles - tick.stolen
        if tick.sequence != before.sequence + 1 or not 0 < cycles < 1 << 60:
            return
        if ran < _LEAST_RUN * (self.known_cycles or 2 * cycles):
            return
        self._waits.append(tick.longest)
        self._cycles.append(cycles)
        self._rates.append(tick.progress / ran)
        self._printing.append(tick.print_cycles)

    @property
    def known(self) -> bool:
        """Whether enough intervals were seen."""
        return len(self._rates) >= 3

    @property
    def cycles_per_period(self) -> float:
        """TSC cycles in a period.

        Without a known frequency it is the shortest recent interval: a busy host can only
        lengthen one.
        """
        return self.known_cycles or min(self._cycles)

    def cycles_per_ns(self, period_ns: int) -> float:
        """TSC cycles in a nanosecond, given the length of a period."""
        return self.cycles_per_period / period_ns

    @property
    def longest_wait_periods(self) -> float:
        """Longest time in recent periods for which the vCPU waited for a CPU, in periods."""
        return max(self._waits, default=0) / self.cycles_per_period if self._waits else 0.0

    @property
    def print_cycles(self) -> float:
        """TSC cycles from a tick until its line is printed, on an idle host.

        A low quantile: other programs can only lengthen it.
        """
        printing = sorted(self._printing)
        return printing[len(printing) // 5] if printing else 0

    @property
    def printing_periods(self) -> float:
        """Median share of a period that the guest spends on printing a line."""
        return statistics.median(self._printing) / self.cycles_per_period if self._printing else 0.0

    @property
    def progress_per_period(self) -> float:
        """Progress in a period if no other program takes CPU time from the vCPU.

        It is an upper quantile of the rates, as other programs can only slow the guest,
        times the length of a period.
        """
        rates = sorted(self._rates)
        return rates[(len(rates) * 9) // 10] * self.cycles_per_period

    def stolen_cycles(self, tick: Tick) -> float:
        """Return the TSC cycles before a tick in which the vCPU did not run.

        Printing that took longer than usual was held up, too.
        """
        return tick.stolen + max(0.0, tick.print_cycles - self.print_cycles)


class Paces(collections.UserList[Pace]):
    """The pace of each vCPU of an instance, and how late `stop` takes effect."""

    def __init__(self, vcpus: int = 1, *, synchronised: bool = True) -> None:
        """Prepare; `synchronised` says whether the host's kernel relies on its TSCs."""
        skew, spread = (
            TscSkew(vcpus, synchronised=synchronised),
            KvmclockSpread(synchronised=synchronised),
        )
        answers = TscAnswers()
        super().__init__(Pace(Clocks(vcpu, skew, spread, answers)) for vcpu in range(vcpus))
        self.stop_delay = StopDelay()
        self._spread, self._skew = spread, skew

    def begin(self, period_cycles: int) -> None:
        """Begin to hear another instance, in whose period there are so many TSC cycles."""
        for pace in self:
            pace.known_cycles = period_cycles
            pace.last = None
            pace.clocks.restart()

    def learn_clocks(self, unloaded: "Paces") -> None:
        """Learn how much the clocks of the vCPUs differ without a load, by another guest here."""
        self._spread.learn_usual(unloaded._spread)
        self._skew.learn_wandering(unloaded._skew)
