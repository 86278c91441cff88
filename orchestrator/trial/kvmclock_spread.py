"""Tells whether the kvmclocks of a guest's vCPUs agree.

Each vCPU reports its kvmclock at the TSC of its tick. By the TSC, a tick of another vCPU lies so
much earlier or later: both kvmclocks must agree on that.
"""

import collections

from orchestrator.guest.lines import Tick
from orchestrator.trial.guest_clock import cycles_between

#: How far two kvmclocks may be apart in nanoseconds, at least.
TOLERANCE_NS = 100_000

#: How far a kvmclock and a TSC may drift apart, as a fraction of the time between two ticks.
_DRIFT = 0.001

#: Number of recent ticks of each vCPU to compare with.
WINDOW = 8


class KvmclockSpread:
    """The kvmclocks of the vCPUs of one instance."""

    def __init__(self, *, synchronised: bool = True) -> None:
        """Prepare; `synchronised` says whether the host's kernel relies on its TSCs.

        Otherwise each vCPU's kvmclock follows another clock of the host, and nothing is compared.
        """
        self.synchronised = synchronised
        self._recent: dict[int, collections.deque[Tick]] = {}
        self._usual_ns = 0.0
        self._resumed_ns = 0

    def resume(self, at_ns: int) -> None:
        """Begin to hear ticks after the guest resumed at a moment, unless that has begun."""
        if at_ns != self._resumed_ns:
            self._resumed_ns = at_ns
            self.restart()

    def restart(self) -> None:
        """Forget the recent ticks: every kvmclock has a new value."""
        self._recent.clear()

    def apart_ns(self, vcpu: int, tick: Tick, cycles_per_ns: float) -> float:
        """Hear a tick. Return how far its kvmclock is ahead of another vCPU's.

        Negative if it is behind; 0 if they agree as well as they did without a load, or if
        nothing can be compared.
        """
        off_ns, slack_ns = self._compare(vcpu, tick, cycles_per_ns)
        return off_ns if abs(off_ns) > self._usual_ns + slack_ns else 0.0

    def learn(self, vcpu: int, tick: Tick, cycles_per_ns: float) -> None:
        """Hear a tick that came without a load: how far it is off is usual on this host."""
        off_ns, _ = self._compare(vcpu, tick, cycles_per_ns)
        self._usual_ns = max(self._usual_ns, abs(off_ns))

    def learn_usual(self, unloaded: "KvmclockSpread") -> None:
        """Learn what is usual on this host from a guest that was not loaded."""
        self._usual_ns = max(self._usual_ns, unloaded._usual_ns)

    def _compare(self, vcpu: int, tick: Tick, cycles_per_ns: float) -> tuple[float, float]:
        """Return how far a tick is off the nearest one of another vCPU, and the drift's part."""
        if not tick.kvmclock_ns or not self.synchronised:
            return 0.0, 0.0
        others = [each for other, ticks in self._recent.items() if other != vcpu for each in ticks]
        own = self._recent.setdefault(vcpu, collections.deque(maxlen=WINDOW))
        own.append(tick)
        if not others:
            return 0.0, 0.0
        near = min(others, key=lambda each: abs(cycles_between(each.tsc, tick.tsc)))
        later_ns = cycles_between(near.tsc, tick.tsc) / cycles_per_ns
        off_ns = tick.kvmclock_ns - near.kvmclock_ns - later_ns
        return off_ns, TOLERANCE_NS + _DRIFT * abs(later_ns)
