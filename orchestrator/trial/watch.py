"""Waits for a line of the guest, and tells a silent guest from a host that stands still."""

import collections
import re
import signal
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from orchestrator.errors import says_no_room
from orchestrator.findings.arrival import Arrival
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.lines import Crashed, Line, Tick
from orchestrator.guest.wait import Wait
from orchestrator.process.exit import ProcessExit
from orchestrator.qmp.errors import MonitorError
from orchestrator.trial.limits import Limits
from orchestrator.vm.instance import Instance
from orchestrator.vm.port import ConsoleClosedError

L = TypeVar("L", bound=Line)

#: Signals by which a QEMU ends itself. Other signals come from outside.
CRASH_SIGNALS = frozenset(
    {signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP}
)

#: QEMU's run states that mean a crashed guest.
CRASHED_STATES = frozenset({"shutdown", "internal-error", "guest-panicked", "io-error"})

#: Lines of other kinds that are kept. A guest that works says a few.
MOST_OTHERS = 1000

#: Lines of other kinds in one wait that put off the next look at the vCPU: a guest that prints is
#: not silent. More of them are a flood, which nothing may wait for.
MOST_LENGTHENING = 50

#: Ticks that can be heard of a guest that runs on before the first one after its save: lines that
#: were printed before, while other vCPUs were listened to.
MOST_OLD_TICKS = 10_000

#: Shortest wait: long enough to hear a line that has already arrived.
SHORTEST_WAIT_NS = 2_000_000


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment from which a vCPU's silence is counted."""

    cpu_ns: int
    """CPU time that the vCPU's thread had used."""
    at_ns: int
    """The host's time."""
    run_delay_ns: int | None = None
    """Time for which the vCPU's thread had waited for a CPU; None if the thread did not sleep
    then, if the guest never sleeps, or if the host does not count it."""

    def silent_ns(self, until: "Mark") -> int:
        """Return how much time from this mark to another counts as silence.

        It is the vCPU's CPU time. A thread that sleeps at both moments, and whose CPU time and
        run delay stood still between them, slept by itself: then it is the host's time.
        """
        slept = self.slept_until(until)
        return until.at_ns - self.at_ns if slept else until.cpu_ns - self.cpu_ns

    def asleep_at_both_ns(self, until: "Mark") -> int:
        """Return the host's time to another moment, if the thread slept at both; else 0.

        Meanwhile it may have woken, and waited for a CPU.
        """
        known = self.run_delay_ns is not None and until.run_delay_ns is not None
        return until.at_ns - self.at_ns if known else 0

    def slept_until(self, until: "Mark") -> bool:
        """Return whether the thread slept by itself from this mark to another."""
        delay_ns = until.run_delay_ns
        return (
            until.cpu_ns == self.cpu_ns and delay_ns is not None and delay_ns == self.run_delay_ns
        )


@dataclass(frozen=True, slots=True)
class Silence:
    """A proven silence: the vCPU ran past the limit, and QEMU still answers."""

    vcpu_ns: int
    """vCPU CPU time that passed without the line, at least. For a guest that halts, it
    includes the host's time for which the vCPU slept by itself."""
    until: Mark
    """The end of that time."""
    vcpu: int = 0

    @property
    def clock(self) -> str:
        """The clock that `vcpu_ns` was measured by."""
        return "vCPU time" if self.until.run_delay_ns is None else "vCPU time and sleep"

    @property
    def why(self) -> str:
        """The silence in words."""
        return f"no tick in {self.vcpu_ns / 1e6:.0f} ms of {self.clock}"

    @property
    def outcome(self) -> Outcome:
        """The outcome of the trial, unless the vCPU ticks again without help."""
        return Outcome.LOST


@dataclass(frozen=True, slots=True)
class Ended:
    """The guest crashed, or QEMU ended: no line will come any more."""

    why: str
    crashed: bool
    """False if QEMU was ended from outside."""
    vcpu: int = 0

    @property
    def outcome(self) -> Outcome:
        """The outcome of the trial."""
        return Outcome.CRASHED if self.crashed else Outcome.UNKNOWN


@dataclass(frozen=True, slots=True)
class Unclear:
    """No line came, and nothing follows from that.

    The vCPU did not get to run, QEMU's monitor does not answer, or somebody stopped the
    vCPUs.
    """

    why: str
    vcpu: int = 0

    @property
    def outcome(self) -> Outcome:
        """The outcome of the trial."""
        return Outcome.UNKNOWN


#: Why no line came.
Quiet = Silence | Ended | Unclear


@dataclass(frozen=True, slots=True)
class Heard(Generic[L]):
    """A line, and when it arrived by the host's clock."""

    line: L
    at_ns: int


#: QEMU's words if KVM refuses the state of a vCPU. Since its commit 7191f24c7fcf, QEMU ends with
#: exit status 1 then.
_REFUSED_STATE = re.compile(r"\bput(ting)? registers\b", re.I)


def crashed(end: ProcessExit) -> bool:
    """Return whether a QEMU ended itself in a crash, though the host refused it nothing.

    QEMU aborts if it may start no thread or gets no memory: that is a limit of its host.
    """
    gave_up = end.code > 0 and _REFUSED_STATE.search(end.stderr) is not None
    return (gave_up or -end.code in CRASH_SIGNALS) and not says_no_room(end.stderr)


async def how_it_ended(instance: Instance) -> Ended:
    """End a QEMU that has hung up, and say how it ended. What the kernel traced is kept."""
    await instance.keep_trace()
    end = await instance.kill()
    if crashed(end):
        instance.crash = end
        return Ended(f"QEMU crashed: {end}", crashed=True)
    return Ended(f"QEMU ended while its guest was watched: {end}", crashed=False)


class Watch:
    """Watches the lines of one vCPU."""

    def __init__(self, instance: Instance, limits: Limits, vcpu: int = 0) -> None:
        self._instance = instance
        self._limits = limits
        self._vcpu = vcpu
        self._sleeps = instance.config.guest.wait is Wait.HALT
        self._asleep_since: Mark | None = None
        self.others: collections.deque[Line] = collections.deque(maxlen=MOST_OTHERS)
        """Lines that arrived while another kind was waited for, the last ones."""

    async def mark(self) -> Mark:
        """Return the present moment, from which silence may be counted.

        Raises:
            ProcessLookupError: QEMU is gone.
        """
        instance = self._instance
        cpu_ns = await instance.vcpu_cpu_ns(self._vcpu)
        delay_ns = await instance.vcpu_run_delay_ns(self._vcpu) if self._sleeps else None
        return Mark(cpu_ns, instance.clock.now_ns(), delay_ns)

    async def tick(
        self,
        limit_ns: int,
        *,
        confirm: bool = False,
        since: Mark | None = None,
        wall_cap_ns: int | None = None,
    ) -> Heard[Tick] | Quiet:
        """Wait for the next tick; arguments as for `hear`."""
        return await self.hear(
            Tick, limit_ns, confirm=confirm, since=since, wall_cap_ns=wall_cap_ns
        )

    async def hear(
        self,
        wanted: type[L],
        limit_ns: int,
        *,
        confirm: bool = False,
        since: Mark | None = None,
        wall_cap_ns: int | None = None,
    ) -> Heard[L] | Quiet:
        """Wait for the next line of one kind.

        Args:
            wanted: the kind. Lines of other kinds go to `others`.
            limit_ns: vCPU CPU time without the line that counts as silence. By default the
                count begins after two quiet periods, so that a tick in time costs no look
                at the vCPU.
            confirm: at the limit, ask QEMU for its run state and wait once more.
            since: where the count begins, for a vCPU that has been silent already.
            wall_cap_ns: host time after which the wait ends in any case.
        """
        instance, clock, limits = self._instance, self._instance.clock, self._limits
        cap_ns = clock.now_ns() + (wall_cap_ns or limits.wall_cap_ns)
        self._asleep_since = None
        last, silent_ns, wait_ns = since, 0, 2 * limits.period_ns + SHORTEST_WAIT_NS
        dozed_ns = 0
        if since is not None:
            left_ns = limit_ns - (clock.now_ns() - since.at_ns)
            wait_ns = max(left_ns, SHORTEST_WAIT_NS)
        look_ns, lengthened = clock.now_ns() + wait_ns, 0
        while True:
            try:
                left_ns = max(0, look_ns - clock.now_ns())
                arrived = await instance.console.next_line(left_ns, self._vcpu)
                if arrived is not None:
                    line, at_ns = arrived
                    if isinstance(line, Tick):
                        instance.heard[self._vcpu] = Arrival(line, at_ns)
                        if not instance.generation:
                            instance.heard_unloaded.setdefault(self._vcpu, []).append(line)
                    if isinstance(line, wanted):
                        return Heard(line, at_ns)
                    self.others.append(line)
                    if isinstance(line, Crashed):
                        return Ended(f"the guest took {line.what}", crashed=True, vcpu=self._vcpu)
                    if lengthened < MOST_LENGTHENING:
                        lengthened += 1
                        look_ns = clock.now_ns() + wait_ns
                    if at_ns < look_ns:
                        continue
                now = await self.mark()
                asleep_ns = await self._asleep_ns(now)
                if last:
                    silent_ns += last.silent_ns(now)
                    dozed_ns += last.asleep_at_both_ns(now)
                    silent_ns = max(silent_ns, await self._dozed_ns(dozed_ns))
            except (ConsoleClosedError, ProcessLookupError):
                return await how_it_ended(instance)
            last = now
            wait_ns = limits.next_look_ns(limit_ns - silent_ns)
            look_ns = clock.now_ns() + wait_ns
            at_limit = silent_ns >= limit_ns
            capped = clock.now_ns() >= cap_ns
            if capped or instance.monitor.take_stops() or (at_limit and confirm):
                trouble = await self._sign_of_life()
                if trouble is not None:
                    return trouble
            if at_limit and confirm:
                confirm = False
                limit_ns = silent_ns + limits.confirm_ns
                cap_ns += limits.wall_cap_ns
            elif at_limit:
                return Silence(silent_ns, now, self._vcpu)
            elif asleep_ns >= limits.asleep_ns:
                return await self._sign_of_life() or Unclear(
                    f"no tick, and the vCPU's thread slept by itself for {asleep_ns / 1e6:.0f} ms, "
                    "though its guest never sleeps",
                    self._vcpu,
                )
            elif capped:
                return Unclear(
                    f"no tick, but the vCPU ran for only {silent_ns / 1e6:.0f} ms "
                    f"of the {limit_ns / 1e6:.0f} ms that it takes to call that silence",
                    self._vcpu,
                )

    async def _dozed_ns(self, asleep_ns: int) -> int:
        """Return how much of the time of a sleeper that wakes in vain counts as silence.

        KVM wakes a vCPU at each period of a timer that goes on, even if it holds the tick back. All
        that QEMU's threads have waited for a CPU since the load is deducted.
        """
        if asleep_ns < self._limits.asleep_ns:
            return 0
        slept_ns = asleep_ns - await self._instance.waited_ns()
        return slept_ns if slept_ns >= self._limits.asleep_ns else 0

    async def _asleep_ns(self, now: Mark) -> int:
        """Return for how long the thread of a guest that never sleeps has slept by itself."""
        if self._sleeps:
            return 0
        delay_ns = await self._instance.vcpu_run_delay_ns(self._vcpu)
        now = replace(now, run_delay_ns=delay_ns)
        if self._asleep_since is None or not self._asleep_since.slept_until(now):
            self._asleep_since = now
        return now.at_ns - self._asleep_since.at_ns

    async def _sign_of_life(self) -> Ended | Unclear | None:
        """Ask QEMU for its run state; return None if it is `running`."""
        try:
            state = await self._instance.run_state()
        except MonitorError as error:
            return Unclear(f"QEMU does not answer: {error}", self._vcpu)
        if state == "running":
            return None
        said = f"QEMU says that the guest is {state!r}"
        if state in CRASHED_STATES:
            return Ended(said, crashed=True, vcpu=self._vcpu)
        return Unclear(said, self._vcpu)
