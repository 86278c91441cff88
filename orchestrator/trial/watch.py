"""Waits for a tick, and tells silence from a host that stands still."""

import enum
import signal
from dataclasses import dataclass
from typing import Generic, TypeVar

from orchestrator.guest.lines import Crashed, Line, Tick
from orchestrator.qmp.errors import MonitorError
from orchestrator.trial.limits import Limits
from orchestrator.vm.instance import Instance
from orchestrator.vm.port import ConsoleClosed

L = TypeVar("L", bound=Line)

#: Signals by which a QEMU ends itself; others were sent by somebody else.
CRASH_SIGNALS = frozenset(
    {signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP}
)

#: Run states that mean a crashed guest.
CRASHED_STATES = frozenset({"shutdown", "internal-error", "guest-panicked", "io-error"})

#: Each wait lasts so long at least: what has arrived is heard in it.
SHORTEST_WAIT_NS = 2_000_000


class Quiet(enum.Enum):
    """Why no tick came."""

    SILENT = enum.auto()
    """The vCPU ran past the limit, and QEMU still answers."""
    STALLED = enum.auto()
    """The vCPU did not get to run: nothing can be said."""
    NO_ANSWER = enum.auto()
    """QEMU's monitor does not answer, or not as it should."""
    PAUSED = enum.auto()
    """Somebody stopped the vCPUs."""
    CRASHED = enum.auto()
    """The guest or QEMU itself crashed."""
    KILLED = enum.auto()
    """QEMU was ended from outside."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment from which a vCPU's silence is counted."""

    cpu_ns: int
    """The CPU time that the vCPU had used."""
    at_ns: int
    """By the host's clock."""


@dataclass(frozen=True, slots=True)
class Silence:
    """No tick came."""

    quiet: Quiet
    why: str
    vcpu_ns: int = 0
    """vCPU CPU time that passed without a tick, at least."""
    vcpu: int = 0
    until: Mark | None = None
    """When it had lasted so long, where the vCPU ran past the limit."""


@dataclass(frozen=True, slots=True)
class Heard(Generic[L]):
    """A line, and when it arrived by the host's clock."""

    line: L
    at_ns: int


async def how_it_ended(instance: Instance) -> Silence:
    """Say how a QEMU that has hung up ended; what the kernel recorded of it is kept."""
    instance.keep_trace()
    end = await instance.kill()
    if -end.code in CRASH_SIGNALS:
        return Silence(Quiet.CRASHED, f"QEMU crashed: {end}")
    return Silence(Quiet.KILLED, f"QEMU ended while its guest was watched: {end}")


class Watch:
    """Watches what one vCPU of an instance says."""

    def __init__(self, instance: Instance, limits: Limits, vcpu: int = 0) -> None:
        self._instance = instance
        self._limits = limits
        self._vcpu = vcpu
        self.others: list[Line] = []
        """Lines that nobody waited for."""

    async def mark(self) -> Mark:
        """Return now, as a beginning from which silence may be counted.

        Raises:
            ProcessLookupError: QEMU is gone.
        """
        cpu_ns = await self._instance.vcpu_cpu_ns(self._vcpu)
        return Mark(cpu_ns, self._instance.clock.now_ns())

    async def tick(
        self,
        limit_ns: int,
        *,
        confirm: bool = False,
        since: Mark | None = None,
        wall_cap_ns: int | None = None,
    ) -> Heard[Tick] | Silence:
        """Wait for the next tick line; see `hear`."""
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
    ) -> Heard[L] | Silence:
        """Wait for the next line of one kind.

        Args:
            wanted: the kind; lines of others are put aside.
            limit_ns: vCPU time after which there is silence. Its count begins after
                two quiet periods, so that a tick that comes costs no look at the vCPU.
            confirm: at the limit, ask QEMU for a sign of life and wait once more.
            since: the guest has been silent already: the count began there.
            wall_cap_ns: host time after which the wait ends in any case.
        """
        instance, clock, limits = self._instance, self._instance.clock, self._limits
        cap_ns = clock.now_ns() + (wall_cap_ns or limits.wall_cap_ns)
        vcpu_start, wait_ns = None, 2 * limits.period_ns + SHORTEST_WAIT_NS
        if since is not None:
            left_ns = limit_ns - (clock.now_ns() - since.at_ns)
            vcpu_start, wait_ns = since.cpu_ns, max(left_ns, SHORTEST_WAIT_NS)
        while True:
            try:
                arrived = await instance.console.next_line(clock.wall_s(wait_ns), self._vcpu)
                if arrived is not None:
                    line, at_ns = arrived
                    if isinstance(line, wanted):
                        return Heard(line, at_ns)
                    self.others.append(line)
                    if isinstance(line, Crashed):
                        return self._silence(Quiet.CRASHED, f"the guest took {line.what}")
                    continue
                vcpu_now = await instance.vcpu_cpu_ns(self._vcpu)
            except (ConsoleClosed, ProcessLookupError):
                return await how_it_ended(instance)
            vcpu_start = vcpu_now if vcpu_start is None else vcpu_start
            ran_ns = vcpu_now - vcpu_start
            wait_ns = limits.next_look_ns(limit_ns - ran_ns)
            at_limit = ran_ns >= limit_ns
            capped = clock.now_ns() >= cap_ns
            if capped or instance.monitor.take_stops() or (at_limit and confirm):
                trouble = await self._sign_of_life(ran_ns)
                if trouble is not None:
                    return trouble
            if at_limit and confirm:
                confirm = False
                limit_ns = ran_ns + limits.confirm_ns
                cap_ns += limits.wall_cap_ns
            elif at_limit:
                return self._silence(Quiet.SILENT, "", ran_ns, Mark(vcpu_now, clock.now_ns()))
            elif capped:
                return self._silence(
                    Quiet.STALLED,
                    f"no tick, but the vCPU ran for only {ran_ns / 1e6:.0f} ms "
                    f"of the {limit_ns / 1e6:.0f} ms that it takes to call that silence",
                    ran_ns,
                )

    async def _sign_of_life(self, ran_ns: int) -> Silence | None:
        """Ask QEMU for its run state: None if all is as it should be."""
        try:
            state = await self._instance.run_state()
        except MonitorError as error:
            return self._silence(Quiet.NO_ANSWER, f"QEMU does not answer: {error}", ran_ns)
        if state == "running":
            return None
        quiet = Quiet.CRASHED if state in CRASHED_STATES else Quiet.PAUSED
        return self._silence(quiet, f"QEMU says that the guest is {state!r}", ran_ns)

    def _silence(
        self, quiet: Quiet, why: str, vcpu_ns: int = 0, until: Mark | None = None
    ) -> Silence:
        return Silence(quiet, why, vcpu_ns, self._vcpu, until)
