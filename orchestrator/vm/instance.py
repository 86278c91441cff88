"""One QEMU with its guest: monitor, consoles, threads, and who owns it."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from orchestrator.clock import ClockMark
from orchestrator.errors import UnfitError
from orchestrator.findings.arrival import Arrival
from orchestrator.guest.lines import Tick
from orchestrator.guest.state import GuestState
from orchestrator.guest.wait import Wait
from orchestrator.host.errors import NotOwnedError
from orchestrator.host.pair import PairedHost
from orchestrator.host.protocol import Host, QemuProcess
from orchestrator.process.exit import ProcessExit
from orchestrator.qmp.answers import StatusInfo
from orchestrator.qmp.errors import AnswerError, MonitorError
from orchestrator.qmp.monitor import Monitor
from orchestrator.vm.config import InstanceConfig
from orchestrator.vm.console import Console
from orchestrator.vm.machine import machine_on
from orchestrator.vm.memory import RunningMemory, StoppedMemory
from orchestrator.vm.qemu import InstanceFacts, Qemu, starting

#: How long `Instance.next_tick` waits by default: many periods of any usual guest.
NEXT_TICK_NS = 2_000_000_000


class NeedsDiskError(UnfitError):
    """A snapshot method needs a disk, and the instance has none."""

    def __init__(self, method: str) -> None:
        super().__init__(
            f"saving or loading by {method}: the instance has no disk. "
            "Give its InstanceConfig disk=True, or use a method by migration, such as exec."
        )


class NeedsSpawnError(UnfitError):
    """A snapshot method starts programs, and the instance's QEMU must not."""

    def __init__(self, method: str) -> None:
        super().__init__(
            f"saving or loading by {method}: it starts a shell, and the sandbox of the instance's "
            "QEMU forbids that. Give its InstanceConfig spawns=True (losttick_machine has "
            "`spawns`, too), or use a method without a shell, such as hmp, loadvm or file."
        )


class Instance:
    """One QEMU and its guest. Made by `launch` and `attach`, in the modules of these names.

    `replace_qemu` puts another QEMU in the place of the first: take `monitor`,
    `console` and `process` from the instance each time.
    """

    def __init__(self, host: Host, config: InstanceConfig, qemu: Qemu, *, owned: bool) -> None:
        self.host = host
        self.clock = host.clock
        self.clock_mark = ClockMark.read(self.clock)
        """The host's clock at the start of this instance."""
        self.swallowed = 0
        """Interrupts that the guest of a control had swallowed when it had run past its window."""
        self.suspended_ns = self.clock.suspended_ns()
        """For how long the host had been suspended before, since its boot."""
        self.config = config
        self.owned = owned
        """Whether losttick started this QEMU, and so may end or replace it."""
        self.running = True
        """Whether the vCPUs run, as far as this instance's own requests tell."""
        self.generation = 0
        """Number of loads that the guest's state has gone through."""
        self.states: dict[str, bytes] = {}
        """Saved states by name, for methods whose states must outlive QEMU."""
        self.trace: str | None = None
        """The kernel's trace, once `keep_trace` was called."""
        self.crash: ProcessExit | None = None
        """How QEMU ended, if it ended itself by a signal."""
        self.tsc_hz = 0
        """Frequency of the guest's TSC; 0 if QEMU does not know it."""
        self.measured_cycles = 0
        """TSC cycles in a period of the timer, as the guest measured them before its first
        tick; 0 if it did not."""
        self.heard: dict[int, Arrival] = {}
        """The last tick that was heard of each vCPU, before or after a load."""
        self.heard_unloaded: dict[int, list[Tick]] = {}
        """The ticks that were heard of each vCPU before the first load."""
        self.nmis = 0
        """NMIs that losttick has sent to each vCPU. The guest's answers may come late."""
        self._waiting_mark_ns = 0
        self._qemu = qemu

    @property
    def process(self) -> QemuProcess:
        """The present QEMU process."""
        return self._qemu.process

    @property
    def monitor(self) -> Monitor:
        """The monitor of the present QEMU."""
        return self._qemu.monitor

    @property
    def console(self) -> Console:
        """The guest's console."""
        return self._qemu.console

    @property
    def facts(self) -> InstanceFacts:
        """Identity of the present QEMU."""
        return self._qemu.facts

    @property
    def loader(self) -> Host:
        """The host on which a QEMU that loads is started."""
        return self.host.loader if isinstance(self.host, PairedHost) else self.host

    @property
    def started_ns(self) -> int:
        """When the present QEMU was started or attached to, by the host's clock."""
        return self._qemu.started_ns

    @property
    def vcpus(self) -> range:
        """Numbers of the vCPUs, which are also their APIC IDs."""
        return range(self.config.guest.vcpus)

    @property
    def period_cycles(self) -> int:
        """TSC cycles in a period by the TSC's frequency, or else as the guest measured them.

        0 if neither is known.
        """
        return self.tsc_hz * self.config.guest.period_ns // 10**9 or self.measured_cycles

    async def replace_qemu(
        self, args: Sequence[str], files: Mapping[str, bytes], *, pin: bool = True
    ) -> None:
        """End the present QEMU and start another, which is to load a save.

        The new QEMU's guest does not run yet, unless the configuration says `loads_run_on`.

        Args:
            args: further arguments, which say where the new QEMU finds its state.
            files: content by name, for the new QEMU's folder.
            pin: whether to pin the vCPU threads at once. A QEMU that loads as it starts
                must not be disturbed between the load and the guest's next instruction:
                leave its threads to the next save.

        Raises:
            NotOwnedError: losttick did not start the present QEMU.
            QemuStartError: the new QEMU did not start, or ended at once.
        """
        self._require_owned("a load into a new QEMU")
        tee = self.console.release_tee()
        self.running, self.trace = False, None
        config = self.config
        if isinstance(self.host, PairedHost):
            config = replace(config, machine=machine_on(self.host, config.machine))
        args = (*(() if self.config.loads_run_on else ("-S",)), *args)
        ending = asyncio.create_task(self._qemu.end())  # meanwhile the next one starts
        try:
            async with starting(self.loader, config, tee, args, files, pin=pin) as qemu:
                self._qemu = qemu
        finally:
            await ending
        self.running = self.config.loads_run_on

    def _require_owned(self, request: str) -> None:
        if not self.owned:
            raise NotOwnedError(request)

    async def pin(self) -> None:
        """Pin each vCPU thread that is not pinned yet, if the host has more than one CPU."""
        facts = self.facts
        if None in facts.pinned_cpus:
            pinned = tuple([
                await self.process.pin(thread) if cpu is None else cpu
                for thread, cpu in zip(facts.vcpu_threads, facts.pinned_cpus, strict=True)
            ])  # fmt: skip
            self._qemu = replace(self._qemu, facts=replace(facts, pinned_cpus=pinned))

    async def pin_like(self, other: "Instance") -> None:
        """Pin each vCPU thread to the CPU of the same vCPU of an instance that stands meanwhile."""
        facts = self.facts
        pinned = tuple([
            None if cpu is None else await self.process.pin(thread, cpu)
            for thread, cpu in zip(facts.vcpu_threads, other.facts.pinned_cpus, strict=True)
        ])  # fmt: skip
        self._qemu = replace(self._qemu, facts=replace(facts, pinned_cpus=pinned))

    async def stop(self) -> None:
        """Stop the vCPUs."""
        await self.monitor.execute("stop")
        self.running = False

    async def cont(self) -> None:
        """Let the vCPUs run."""
        await self.monitor.execute("cont")
        self.running = True

    async def next_tick(self, within_ns: int = NEXT_TICK_NS, vcpu: int = 0) -> Tick | None:
        """Wait for the next tick of a vCPU that the guest reports.

        Args:
            within_ns: how long to wait, in the host's time. Lines of other kinds do not count.
            vcpu: whose tick.

        Returns:
            The tick; None if none came in time.

        Raises:
            ConsoleClosedError: QEMU closed the console.
        """
        until_ns = self.clock.now_ns() + within_ns
        while arrived := await self.console.next_line(max(0, until_ns - self.clock.now_ns()), vcpu):
            line, at_ns = arrived
            if isinstance(line, Tick):
                return line
            if at_ns > until_ns:
                break
        return None

    async def run_state(self) -> str:
        """Return QEMU's run state, such as `running`. Does not touch the vCPU."""
        return (await self.monitor.ask("query-status", StatusInfo)).status

    async def vcpu_cpu_ns(self, vcpu: int = 0) -> int:
        """Return the CPU time that a vCPU has used."""
        return await self.process.vcpu_cpu_ns(self.facts.vcpu_threads[vcpu])

    async def vcpu_run_delay_ns(self, vcpu: int = 0) -> int | None:
        """Return how long a sleeping vCPU has waited for a CPU.

        None unless it sleeps, and None if the host does not count it.
        """
        return await self.process.vcpu_run_delay_ns(self.facts.vcpu_threads[vcpu])

    async def mark_waiting(self) -> None:
        """Start the count that `waited_ns` returns."""
        self._waiting_mark_ns = await self.process.waited_ns(self._tells_its_waits)

    async def waited_ns(self) -> int:
        """Return how long QEMU's threads have waited for a CPU since the mark.

        The threads of vCPUs do not count, unless they sleep between ticks: a guest that never
        sleeps notes the waits of its vCPUs itself.
        """
        return await self.process.waited_ns(self._tells_its_waits) - self._waiting_mark_ns

    @property
    def _tells_its_waits(self) -> Collection[int]:
        """Threads of the vCPUs whose guest notes for how long they waited."""
        return () if self.config.guest.wait is Wait.HALT else self.facts.vcpu_threads

    async def guest_state(self, vcpu: int = 0) -> GuestState:
        """Read a vCPU's counters out of the guest's memory, without touching the vCPU.

        Raises:
            MonitorError: QEMU failed to read them.
            OSError: the file that QEMU wrote can't be read.
            ValueError: what was read is not the guest's counters.
        """
        memory = RunningMemory(self.monitor, self.process)
        return await self.config.program.state(memory, vcpu)

    async def known_state(self, vcpu: int = 0) -> GuestState | None:
        """Return a vCPU's counters as `guest_state` reads them; None if they can't be read."""
        try:
            return await self.guest_state(vcpu)
        except (MonitorError, OSError, ValueError):
            return None

    async def peek_state(self, vcpu: int = 0) -> GuestState:
        """Read a vCPU's counters through the monitor alone: for stopped vCPUs.

        Raises:
            AnswerError: what the monitor printed is not the guest's counters.
            MonitorError: QEMU failed to read them.
        """
        try:
            return await self.config.program.state(StoppedMemory(self.monitor), vcpu)
        except ValueError as error:
            raise AnswerError("human-monitor-command", f"not understood: {error}") from error

    async def keep_trace(self) -> None:
        """Keep what the kernel has recorded so far: the recording ends with QEMU."""
        if self.process.tracer and self.trace is None:
            self.trace = await self.process.tracer.read()

    async def kill(self) -> ProcessExit:
        """End QEMU at once and remove what it left.

        Raises:
            NotOwnedError: losttick did not start this QEMU.
        """
        self._require_owned("ending QEMU")
        self.running = False
        return await self._qemu.end()
