"""The clocks of a guest's vCPUs: the TSC, and KVM's kvmclock if the guest has one."""

from orchestrator.guest.lines import Tick
from orchestrator.trial.guest_clock import GuestClock, Reading
from orchestrator.trial.kvmclock_spread import KvmclockSpread
from orchestrator.trial.tsc_answers import TscAnswers
from orchestrator.trial.tsc_skew import TscSkew


class Clocks:
    """The clocks of one vCPU, and how they differ from the clocks of the other vCPUs."""

    def __init__(
        self,
        vcpu: int = 0,
        skew: TscSkew | None = None,
        spread: KvmclockSpread | None = None,
        answers: TscAnswers | None = None,
    ) -> None:
        """Prepare. All but the first argument are shared by the vCPUs of an instance."""
        self.vcpu = vcpu
        self.tsc = GuestClock()
        self.kvmclock = GuestClock()
        self.skew = skew or TscSkew()
        self.spread = spread or KvmclockSpread()
        self.answers = answers or TscAnswers()
        self.said: Tick | None = None
        """The last line with kvmclock since the guest last resumed."""
        self.says_when_resumed = False
        """Whether its first line after a stop has kvmclock: KVM has changed it by then."""
        self._resumed = False

    def restart(self) -> None:
        """Begin to hear another instance."""
        self.tsc.restart()
        self.skew.restart()
        self.stood()

    def stood(self) -> None:
        """Note that the instance was stopped: QEMU lets kvmclock stand still meanwhile."""
        self.kvmclock.restart()
        self.spread.restart()
        self.said = None
        self._resumed = True

    def note(self, tick: Tick) -> None:
        """Keep a tick's line if it has kvmclock."""
        if tick.kvmclock_ns:
            self.said = tick

    def hear(self, tick: Tick, at_ns: int) -> None:
        """Learn from a tick without a load between it and the line before."""
        self.tsc.hear(Reading(tick.tsc, at_ns))
        self.note(tick)
        self.says_when_resumed |= self._resumed and bool(tick.kvmclock_ns)
        self._resumed = False
        if tick.kvmclock_ns:
            self.kvmclock.hear(Reading(tick.kvmclock_ns, at_ns))
        self.skew.hear(self.vcpu, tick)
