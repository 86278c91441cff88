"""A running tick guest: QEMU, its monitor and its console as one thing with an end."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, BinaryIO

from orchestrator.errors import InfraError
from orchestrator.guest.tick.image import firmware
from orchestrator.guest.tick.lines import BadConfig, Line, Ready
from orchestrator.guest.tick.state import STATE_ADDRESS, STATE_STRIDE, GuestState
from orchestrator.host.protocol import Host, QemuProcess, QemuStartError
from orchestrator.process.exit import QemuExit
from orchestrator.qmp.errors import MonitorClosedError, MonitorError
from orchestrator.qmp.monitor import Monitor
from orchestrator.vm.argv import BIOS_FILE, DISK_FILE, qemu_args
from orchestrator.vm.config import MachineConfig
from orchestrator.vm.console import Console
from orchestrator.vm.port import ConsoleClosed

#: From QEMU's greeting to the guest's first line.
READY_DEADLINE_NS = 10_000_000_000


_DUMP_FILE = "state.bin"


class GuestStartError(InfraError):
    """QEMU runs, but its guest does not."""


class GuestRefusedError(GuestStartError):
    """The guest finds that this machine can't do what its configuration asks for."""


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """The identity of one VM."""

    argv: tuple[str, ...]
    vcpu_threads: tuple[int, ...]
    pinned_cpus: tuple[int | None, ...]
    """Of each vCPU; None if it is not pinned."""


@dataclass(frozen=True, slots=True)
class _Qemu:
    """A QEMU that answers."""

    process: QemuProcess
    monitor: Monitor
    console: Console
    facts: MachineFacts

    async def end(self) -> QemuExit:
        return await _end(self.process, self.monitor, self.console)


class Machine:
    """One VM. Whatever ends the `machine` context also ends its QEMU.

    Its QEMU may be replaced by another (`replace_qemu`): take monitor, console and
    process from here each time.
    """

    def __init__(self, host: Host, config: MachineConfig, qemu: _Qemu) -> None:
        self.host = host
        self.clock = host.clock
        self.config = config
        self.running = True
        self.generation = 0
        """Loads that its guest has gone through."""
        self.states: dict[str, bytes] = {}
        """Saved states by name, where they have to outlive its QEMU."""
        self.started_ns = 0
        """When QEMU was started, by the host's clock."""
        self.trace: str | None = None
        """What `keep_trace` kept."""
        self._waiting_mark_ns = 0
        self._qemu = qemu

    @property
    def process(self) -> QemuProcess:
        """Its QEMU."""
        return self._qemu.process

    @property
    def monitor(self) -> Monitor:
        """The monitor of its QEMU."""
        return self._qemu.monitor

    @property
    def console(self) -> Console:
        """Its guest's console."""
        return self._qemu.console

    @property
    def facts(self) -> MachineFacts:
        """What its QEMU is."""
        return self._qemu.facts

    @classmethod
    async def start(
        cls, host: Host, config: MachineConfig, tee: BinaryIO | None = None
    ) -> "Machine":
        """Start QEMU and wait until its guest is about to start its timer.

        Args:
            host: where.
            config: what.
            tee: a file that gets all the console says, and is closed with the machine.

        Raises:
            QemuStartError: QEMU did not start, or ended at once: with its own words.
            GuestStartError: the guest refused its configuration, or said nothing.
        """
        guest = config.guest
        shared = guest.shared_port or guest.vcpus > host.max_consoles
        config = replace(config, guest=replace(guest, shared_port=shared))
        async with _starting(host, config, tee) as (qemu, started_ns):
            machine = cls(host, config, qemu)
            machine.started_ns = started_ns
            await machine._wait_ready()
        return machine

    async def replace_qemu(
        self, args: Sequence[str], files: Mapping[str, bytes], *, pin: bool = True
    ) -> None:
        """End this machine's QEMU and start another, whose guest does not run yet.

        Args:
            args: arguments beside this machine's own: whence the new QEMU gets its state.
            files: content by name, for its folder.
            pin: whether to pin the vCPU thread at once. Where QEMU loads as it starts that
                would come between the load and the guest's next instruction: leave it to
                the next save.

        Raises:
            QemuStartError: the new one did not start, or ended at once: with its own words.
        """
        tee = self.console.release_tee()
        self.running, self.trace = False, None
        args = ("-S", *args)
        ending = asyncio.create_task(self._qemu.end())  # meanwhile the next one starts
        try:
            async with _starting(self.host, self.config, tee, args, files, pin=pin) as begun:
                self._qemu, self.started_ns = begun
        finally:
            await ending

    async def pin(self) -> None:
        """Pin each vCPU thread that isn't, to one CPU, where there is more than one."""
        facts = self.facts
        if None in facts.pinned_cpus:
            pinned = tuple([
                await self.process.pin(thread) if cpu is None else cpu
                for thread, cpu in zip(facts.vcpu_threads, facts.pinned_cpus, strict=True)
            ])  # fmt: skip
            self._qemu = replace(self._qemu, facts=replace(facts, pinned_cpus=pinned))

    async def _wait_ready(self) -> None:
        try:
            arrived = await self.console.next_line(self.clock.wall_s(READY_DEADLINE_NS))
        except ConsoleClosed:
            raise MonitorError("query-cpus-fast", "QEMU ended while its guest started") from None
        line: Line | None = arrived[0] if arrived else None
        if isinstance(line, Ready):
            return
        if isinstance(line, BadConfig):
            raise GuestRefusedError(
                f"starting the tick guest: it refused its configuration: {line.reason}"
            )
        if line is not None:
            raise GuestStartError(f"starting the tick guest: its first word was {line}")
        status = await self.monitor.execute("query-status")
        raise GuestStartError(
            "starting the tick guest: no word from it in "
            f"{READY_DEADLINE_NS / 1e9:g} s (QEMU says {status['status']!r}). "
            "`losttick doctor` tells whether this accelerator works here."
        )

    async def stop(self) -> None:
        """Stop the vCPUs."""
        await self.monitor.execute("stop")
        self.running = False

    async def cont(self) -> None:
        """Let the vCPUs run."""
        await self.monitor.execute("cont")
        self.running = True

    async def run_state(self) -> str:
        """Return QEMU's run state, such as `running`. Does not touch the vCPU."""
        status: dict[str, Any] = await self.monitor.execute("query-status")
        return str(status["status"])

    @property
    def vcpus(self) -> range:
        """The numbers of its vCPUs, which are their APIC IDs."""
        return range(self.config.guest.vcpus)

    async def vcpu_cpu_ns(self, vcpu: int = 0) -> int:
        """Return the CPU time that a vCPU has used."""
        return await self.process.vcpu_cpu_ns(self.facts.vcpu_threads[vcpu])

    async def mark_waiting(self) -> None:
        """Begin to count, for `waited_ns`."""
        self._waiting_mark_ns = await self.process.waited_ns(self.facts.vcpu_threads)

    async def waited_ns(self) -> int:
        """Return how long QEMU's threads, the vCPUs' left out, waited for a CPU since the mark."""
        return await self.process.waited_ns(self.facts.vcpu_threads) - self._waiting_mark_ns

    async def guest_state(self, vcpu: int = 0) -> GuestState:
        """Read a vCPU's state block out of the guest's memory, without touching the vCPU.

        `pmemsave` reads memory only; HMP's `xp` would synchronize the vCPU's
        registers first, which can change what a hung guest does next.
        """
        address = STATE_ADDRESS + vcpu * STATE_STRIDE
        await self.monitor.execute(
            "pmemsave", {"val": address, "size": GuestState.SIZE, "filename": _DUMP_FILE}
        )
        return GuestState.parse(await self.process.read_file(_DUMP_FILE))

    async def peek_state(self, vcpu: int = 0) -> GuestState:
        """Read a vCPU's state block through the monitor alone: for a stopped machine.

        Raises:
            ValueError: what the monitor printed is not the state block.
        """
        command = f"xp /{GuestState.WORDS}xw {STATE_ADDRESS + vcpu * STATE_STRIDE:#x}"
        text = await self.monitor.hmp(command)
        words = re.findall(r"0x([0-9a-f]{8})\b", text)
        return GuestState.parse(b"".join(int(word, 16).to_bytes(4, "little") for word in words))

    def keep_trace(self) -> None:
        """Keep what the kernel has recorded so far: the recording ends with QEMU."""
        if self.process.tracer and self.trace is None:
            self.trace = self.process.tracer.read()

    async def kill(self) -> QemuExit:
        """End this VM at once and remove what it left."""
        self.running = False
        return await self._qemu.end()

    async def __aenter__(self) -> "Machine":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()


@contextlib.asynccontextmanager
async def _starting(
    host: Host,
    config: MachineConfig,
    tee: BinaryIO | None,
    args: Sequence[str] = (),
    files: Mapping[str, bytes] = MappingProxyType({}),
    *,
    pin: bool = True,
) -> AsyncIterator[tuple[_Qemu, int]]:
    """Start a QEMU and give it, with the time of its start; an error in the context ends it.

    Raises:
        QemuStartError: it did not start, or ended at once: with its own words.
    """
    try:
        files = {BIOS_FILE: firmware().content, **files}
        if config.disk and DISK_FILE not in files:
            files[DISK_FILE] = await host.empty_disk()
        process = await host.start_qemu(
            [*qemu_args(config), *args], files, consoles=config.consoles
        )
    except BaseException:
        if tee:
            tee.close()
        raise
    started_ns = host.clock.now_ns()
    console = monitor = None
    try:
        console = Console(process.consoles, host.clock, tee)
        monitor = await Monitor.connect(process, host.clock)
        vcpus = await monitor.execute("query-cpus-fast")
        try:
            threads = tuple(int(vcpus[n]["thread-id"]) for n in range(config.guest.vcpus))
        except (LookupError, TypeError, ValueError):
            raise MonitorError("query-cpus-fast", f"threads are missing in {vcpus!r}") from None
        pinned = tuple([await process.pin(thread) if pin else None for thread in threads])
        if process.tracer:
            process.tracer.watch(threads)
        facts = MachineFacts(tuple(process.argv), threads, pinned)
        yield _Qemu(process, monitor, console, facts), started_ns
    except BaseException as error:
        end = await _end(process, monitor, console)
        if isinstance(error, MonitorError):
            how = "it ended" if isinstance(error, MonitorClosedError) else error.seen
            raise QemuStartError(
                f"starting QEMU: {how}: {end}\nCommand line: {' '.join(process.argv)}", end
            ) from error
        raise


async def _end(process: QemuProcess, monitor: Monitor | None, console: Console | None) -> QemuExit:
    """Kill QEMU, then let go of the streams: a monitor whose peer is gone closes at once."""
    if console:
        console.close()
    try:
        return await process.kill()
    finally:
        try:
            if monitor:
                await monitor.close()
        finally:
            for stream in (process.qmp, *process.consoles):
                stream.close()
