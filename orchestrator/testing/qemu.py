"""A QEMU that is a script: real sockets, a fake guest, and no process."""

import asyncio
import contextlib
import pickle
import socket
from collections.abc import Callable, Collection, Mapping, Sequence

from orchestrator.guest.config import GuestConfig
from orchestrator.guest.tick.lines import render
from orchestrator.guest.tick.state import STATE_ADDRESS, STATE_STRIDE
from orchestrator.guest.wait import Wait
from orchestrator.host.protocol import DUMP_FILE
from orchestrator.process.exit import ProcessExit
from orchestrator.testing.clock import FakeClock
from orchestrator.testing.monitor import FIRST_THREAD, FakeMonitor, file_in
from orchestrator.testing.script import Script
from orchestrator.testing.vcpu import TSC_PER_NS, FakeVcpu

#: The guest moves on once a period, or once in so long if that is longer: a test may change a
#: vCPU at any time.
LEAST_STEP_NS = 5_000_000


#: TSC cycles after which a vCPU sees the TSC that another one has noted.
SEEN_AFTER = 2_000


class FakeQemu:
    """A running QEMU with the tick firmware, as a host's `start_qemu` returns one."""

    tracer = None
    dump_file = DUMP_FILE

    def __init__(
        self, config: GuestConfig, script: Script, args: Sequence[str], files: Mapping[str, bytes]
    ) -> None:
        self.qmp, monitor = socket.socketpair()
        console, self._console = socket.socketpair()
        self.consoles = [console]
        self.argv: Sequence[str] = ["/fake/qemu", *args]
        self.config = config
        self.script = script
        self.clock = FakeClock()
        self.vcpus = [
            FakeVcpu(
                vcpu,
                due_ns=config.period_ns,
                tmict=config.period_ns,
                sleeps=config.wait is Wait.HALT and not config.control_tick,
            )
            for vcpu in range(config.vcpus)
        ]
        self._boots = "-loadvm" not in args and "-incoming" not in args
        self.runs_on = "-S" not in args
        """Whether the guest runs on by itself after this QEMU has loaded a state."""
        self.running = self._boots and self.runs_on
        """False while the vCPUs are stopped."""
        self.state = "running"
        """The answer to `query-status` while the vCPUs run."""
        self._begins = False
        """True if the guest begins to run, and says so, as soon as it is continued."""
        self.stderr = ""
        """The text that it has written to its standard error by the time it is killed."""
        self.frozen = False
        """True while the host gives the vCPUs no CPU time."""
        self.loads = 0
        self.files = dict(files)
        """QEMU's working folder."""
        self.snapshots: dict[str, bytes] = {}
        self.monitor = FakeMonitor(monitor, self)
        self._cpu_ns = [0] * config.vcpus
        self._delay_ns = 0
        self._advanced_ns = self.clock.now_ns()
        loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[ProcessExit] = loop.create_future()
        self._tasks = [asyncio.create_task(self.monitor.serve())]
        loop.call_soon(self._boot)
        self._next_move: asyncio.Handle = loop.call_soon(self._move)
        if self.argument("-loadvm"):
            self.load(self.files["disk.qcow2"])
            self.running = self.runs_on
        if (uri := self.argument("-incoming")) not in ("", "defer"):
            self.load_incoming(uri)
            self.monitor.migration = "completed"

    def argument(self, option: str) -> str:
        """Return what follows an option on the command line; an empty text if nothing does."""
        return self.argv[self.argv.index(option) + 1] if option in self.argv else ""

    @property
    def period_ns(self) -> int:
        """The guest's period."""
        return self.config.period_ns

    @property
    def lapic_is_qemus(self) -> bool:
        """True if QEMU, and not KVM, has the LAPIC."""
        machine = self.argument("-machine")
        return "accel=tcg" in machine or "kernel-irqchip=off" in machine

    @property
    def ended(self) -> bool:
        """True once QEMU has ended."""
        return self._exit.done()

    # --- what the guest does ---

    def advance(self) -> None:
        """Let the guest do all that it does up to now."""
        now_ns = self.clock.now_ns()
        passed_ns, self._advanced_ns = now_ns - self._advanced_ns, now_ns
        if self.running and self.frozen:
            self._delay_ns += passed_ns
        if not self.running or self.frozen:
            return
        for vcpu in self.vcpus:
            if not vcpu.halted:
                if not vcpu.sleeps:
                    self._cpu_ns[vcpu.vcpu] += passed_ns - min(passed_ns, vcpu.waits_ns)
                elif vcpu.wakes:
                    self._cpu_ns[vcpu.vcpu] += passed_ns // 100
                for line in vcpu.run(passed_ns, self.config):
                    self.say(line)
        self._compare_tscs()

    def _compare_tscs(self) -> None:
        """Let each vCPU see how far its TSC is ahead of the next one's."""
        for vcpu, other in zip(self.vcpus, (*self.vcpus[1:], self.vcpus[0]), strict=True):
            if not vcpu.halted and not other.halted:
                ahead = vcpu.tsc - other.tsc + SEEN_AFTER
                vcpu.ahead = ahead if vcpu.ahead is None else min(vcpu.ahead, ahead)

    def memory(self, address: int, size: int) -> bytes:
        """Return bytes of the guest's memory, where the guest keeps its state blocks."""
        vcpu, offset = divmod(address - STATE_ADDRESS, STATE_STRIDE)
        return self.vcpus[vcpu].state_block(self.config)[offset : offset + size]

    def say(self, data: bytes) -> None:
        """Print on the guest's console."""
        with contextlib.suppress(OSError):  # nobody reads any more
            self._console.send(data)

    def do_later(self, ns: int, action: Callable[[], object]) -> None:
        """Call `action` after `ns` nanoseconds of the host's time, unless QEMU ends before."""

        async def wait() -> None:
            await self.clock.sleep(ns)
            action()
            self._move_soon()

        self._tasks.append(asyncio.create_task(wait()))

    def _boot(self) -> None:
        """Print the line with which a guest begins to run."""
        if self.running:
            self.say(render("R", 0, TSC_PER_NS * self.period_ns))

    def _move(self) -> None:
        """Let the guest do all that it does up to now, and come again for what it does next."""
        self.advance()
        self._next_move = self.clock.call_later(self._until_next_ns(), self._move)

    def _move_soon(self) -> None:
        """Let the guest do what a change of it brings, before the time of its next move."""
        self._next_move.cancel()
        self._next_move = asyncio.get_running_loop().call_soon(self._move)

    def _until_next_ns(self) -> int:
        """Return the time until the next timer fires, at most a step."""
        step_ns = max(LEAST_STEP_NS, self.period_ns)
        if not self.running or self.frozen:
            return step_ns
        due = [
            vcpu.waits_ns or next_ns - vcpu.ran_ns
            for vcpu in self.vcpus
            if (next_ns := vcpu.next_ns()) is not None and not vcpu.halted
        ]
        return max(1, min([step_ns, *due]))

    def reset(self) -> None:
        """Begin the guest anew, as a reset does of which QEMU says nothing."""
        for vcpu in self.vcpus:
            vcpu.reset(self.config)
        self._begins = not self.running
        self._boot()
        self._move_soon()

    def cont(self) -> None:
        """Let the vCPUs run."""
        self.running = True
        if self._begins:
            self._begins = False
            self._boot()
        for vcpu in self.vcpus:
            vcpu.says_kvmclock = True
        self._move_soon()

    def saved_state(self) -> bytes:
        """Return the guest's state as a save holds it."""
        return pickle.dumps(self.vcpus)

    def load(self, state: bytes) -> None:
        """Take over a saved state, and let the script change it."""
        self.vcpus = pickle.loads(state)
        self.loads += 1
        for vcpu in self.vcpus:
            self.script.on_load(self, vcpu, self.loads)
            vcpu.says_kvmclock = True
        self._move_soon()

    def load_incoming(self, uri: str) -> None:
        """Take over a migrated state. All fake saves are of stopped guests.

        The saving QEMU and this one have the same arguments of migration.
        """
        self.load(self.files[file_in(uri)])
        self.running = self.runs_on and "migration.store-global-state=off" in self.argv

    # --- QemuProcess ---

    async def vcpu_cpu_ns(self, thread_id: int) -> int:
        """Return the CPU time that a vCPU thread has used, in nanoseconds."""
        if self.ended:
            raise ProcessLookupError
        self.advance()
        return self._cpu_ns[thread_id - FIRST_THREAD]

    async def vcpu_run_delay_ns(self, thread_id: int) -> int | None:
        """Return the time for which the vCPUs were frozen; None while they are."""
        if self.ended:
            raise ProcessLookupError
        self.advance()
        return None if self.frozen else self._delay_ns

    async def waited_ns(self, besides: Collection[int]) -> int:
        """Return the time for which the vCPUs were frozen; no other thread ever waits."""
        self.advance()
        threads = range(FIRST_THREAD, FIRST_THREAD + len(self._cpu_ns))
        return self._delay_ns * len(set(threads) - set(besides))

    async def pin(self, thread_id: int, cpu: int | None = None) -> int | None:
        """Return None: there is no CPU to pin a thread to."""
        return None

    async def read_file(self, name: str) -> bytes:
        """Return a file from QEMU's working folder."""
        try:
            return self.files[name]
        except KeyError:
            raise FileNotFoundError(name) from None

    async def exited(self) -> ProcessExit:
        """Wait until QEMU has ended, and say how."""
        return await asyncio.shield(self._exit)

    async def kill(self) -> ProcessExit:
        """End QEMU by SIGKILL, as far as anybody can tell."""
        self.end(ProcessExit(-9, self.stderr))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(OSError):
            await self.monitor.closed()
        return await self.exited()

    def end(self, how: ProcessExit) -> None:
        """End as `how` says."""
        if not self.ended:
            self._exit.set_result(how)
        self._next_move.cancel()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self.monitor.close()
        self._console.close()
