"""A running tick guest: QEMU, its monitor and its console as one thing with an end."""

import re
from dataclasses import dataclass
from typing import Any, BinaryIO

from orchestrator.errors import InfraError
from orchestrator.guest.firmware import STATE_ADDRESS, GuestState, firmware
from orchestrator.guest.lines import BadConfig, Line, Ready
from orchestrator.host.protocol import Host, QemuExit, QemuProcess, QemuStartError
from orchestrator.vm.argv import BIOS_FILE, DISK_FILE, MachineConfig, qemu_args
from orchestrator.vm.console import Console, ConsoleClosed
from orchestrator.vm.monitor import Monitor, MonitorClosedError, MonitorError

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
    vcpu_thread: int
    pinned_cpu: int | None


class Machine:
    """One VM. Whatever ends the `machine` context also ends its QEMU."""

    def __init__(
        self,
        host: Host,
        config: MachineConfig,
        process: QemuProcess,
        monitor: Monitor,
        console: Console,
        facts: MachineFacts,
    ) -> None:
        self.host = host
        self.clock = host.clock
        self.config = config
        self.process = process
        self.monitor = monitor
        self.console = console
        self.facts = facts
        self.running = True
        self.started_ns = 0
        """When QEMU was started, by the host's clock."""
        self.trace: str | None = None
        """What `keep_trace` kept."""
        self._waiting_mark_ns = 0

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
        try:
            files = {BIOS_FILE: firmware().content, DISK_FILE: await host.empty_disk()}
            process = await host.start_qemu(qemu_args(config), files)
        except BaseException:
            if tee:
                tee.close()
            raise
        started_ns = host.clock.now_ns()
        console = monitor = None
        try:
            console = Console(process.console, host.clock, tee)
            monitor = await Monitor.connect(process, host.clock)
            vcpus = await monitor.execute("query-cpus-fast")
            try:
                thread = int(vcpus[0]["thread-id"])
            except (LookupError, TypeError, ValueError):
                raise MonitorError("query-cpus-fast", f"no thread in {vcpus!r}") from None
            pinned = await process.pin(thread)
            if process.tracer:
                process.tracer.watch(thread)
            facts = MachineFacts(tuple(process.argv), thread, pinned)
            machine = cls(host, config, process, monitor, console, facts)
            machine.started_ns = started_ns
            await machine._wait_ready()
        except BaseException as error:
            end = await _end(process, monitor, console)
            if isinstance(error, MonitorError):
                how = "it ended" if isinstance(error, MonitorClosedError) else error.seen
                raise QemuStartError(
                    f"starting QEMU: {how}: {end}\nCommand line: {' '.join(process.argv)}"
                ) from error
            raise
        return machine

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

    async def vcpu_cpu_ns(self) -> int:
        """Return the CPU time that the vCPU has used."""
        return await self.process.vcpu_cpu_ns(self.facts.vcpu_thread)

    async def mark_waiting(self) -> None:
        """Begin to count, for `waited_ns`."""
        self._waiting_mark_ns = await self.process.waited_ns(self.facts.vcpu_thread)

    async def waited_ns(self) -> int:
        """Return how long QEMU's threads, the vCPU's left out, waited for a CPU since the mark."""
        return await self.process.waited_ns(self.facts.vcpu_thread) - self._waiting_mark_ns

    async def guest_state(self) -> GuestState:
        """Read the guest's state block out of its memory, without touching the vCPU.

        `pmemsave` reads memory only; HMP's `xp` would synchronize the vCPU's
        registers first, which can change what a hung guest does next.
        """
        await self.monitor.execute(
            "pmemsave", {"val": STATE_ADDRESS, "size": GuestState.SIZE, "filename": _DUMP_FILE}
        )
        return GuestState.parse(await self.process.read_file(_DUMP_FILE))

    async def peek_state(self) -> GuestState:
        """Read the state block through the monitor alone: for a stopped machine.

        Raises:
            ValueError: what the monitor printed is not the state block.
        """
        command = f"xp /{GuestState.WORDS}xw {STATE_ADDRESS:#x}"
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
        return await _end(self.process, self.monitor, self.console)

    async def __aenter__(self) -> "Machine":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()


async def _end(process: QemuProcess, monitor: Monitor | None, console: Console | None) -> QemuExit:
    """Kill QEMU, then let go of the streams: a monitor whose peer is gone closes at once."""
    if console:
        console.close()
    end = await process.kill()
    if monitor:
        await monitor.close()
    process.qmp.close()
    process.console.close()
    return end
