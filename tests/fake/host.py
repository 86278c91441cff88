"""A host that is none: its clock runs at its own pace, its QEMU is a script.

It stands in for what a real QEMU can't be made to do at will: to recover unaided,
to be cured by a look, to lose a tick under APICv. Whatever reads a clock, a pid
or /proc behind the protocol's back finds nothing of it here.
"""

import asyncio
import contextlib
import copy
import json
import pickle
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.guest.config import GuestConfig
from orchestrator.guest.tick.config import MODES
from orchestrator.guest.tick.lines import render
from orchestrator.guest.tick.state import MAGIC, STATE_ADDRESS, STATE_STRIDE, WORDS
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.host.facts import HostFacts, QemuFacts
from orchestrator.host.protocol import QemuStartError
from orchestrator.process.exit import QemuExit

#: Host seconds in one of ours: nothing may mistake the one for the other.
SPEED = 10.0

SPIN_NS = 1000

#: The first vCPU's thread; the others follow.
THREAD = 4242


class FakeClock:
    """Began at an odd time, and runs faster than the event loop's clock, virtual or not."""

    def now_ns(self) -> int:
        return 7_000_000_000_000 + int(asyncio.get_running_loop().time() * 1e9 * SPEED)

    def wall_s(self, ns: int) -> float:
        return ns / 1e9 / SPEED


FACTS = HostFacts(
    kernel="6.6.1-fake", kernel_build="#1", cpu="Fake Xeon", vendor="GenuineIntel",
    family_model_stepping="6/85/7", microcode="0x1", cpus=4, vmx_flags=("apicv", "posted_intr"),
    kvm_modules={"kvm_intel": {"enable_apicv": "Y"}}, kvm_device="usable", tracefs=None,
    hypervisor=False,
    qemu=QemuFacts("/fake/qemu", "8.0.4", "0" * 64, ("kvm", "tcg"), frozenset({"snapshot-save"})),
)  # fmt: skip


@dataclass
class Guest:
    """The tick guest on one vCPU, in its own running time."""

    vcpu: int = 0
    ticks: int = 0
    arms: int = 1
    ran_ns: int = 0
    last_tick_ns: int = 0
    due_ns: int | None = 0
    """When the armed timer fires; None if it never will."""
    nmis: int = 0
    pending: str | None = None
    """The look that delivers a pending interrupt."""
    window_until_ns: int | None = None
    flags: int = 0x246
    tmict: int = 0
    lvtt: int = 0x40
    mute: bool = False
    mark: bool = False
    """For a script's own use; it is saved and loaded."""
    halted: bool = False


@dataclass
class Script:
    """What goes wrong, and when. Called with each vCPU's guest as each load has restored it."""

    on_load: Callable[["FakeQemu", Guest, int], None] = lambda qemu, guest, number: None
    on_command: dict[str, Callable[["FakeQemu"], object]] = field(default_factory=dict)


def immediate(qemu: "FakeQemu", guest: Guest, number: int) -> None:
    guest.due_ns = guest.ran_ns


def full_period(qemu: "FakeQemu", guest: Guest, number: int) -> None:
    guest.due_ns = guest.ran_ns + qemu.period_ns


def remaining(qemu: "FakeQemu", guest: Guest, number: int) -> None:
    pass


def lost(qemu: "FakeQemu", guest: Guest, number: int) -> None:
    guest.due_ns = None


async def messages(reader: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """Yield the JSON objects of a stream: QMP has no separator between them."""
    text = ""
    while data := await reader.read(4096):
        text += data.decode()
        while text := text.lstrip():
            try:
                message, end = json.JSONDecoder().raw_decode(text)
            except ValueError:
                break
            text = text[end:]
            yield message


def file_in(uri: object) -> str:
    """Return the file of a migration's URI: its last word."""
    return re.split(r"[: ]", str(uri))[-1]


class FakeQemu:
    """QEMU with a tick guest, as far as losttick can tell."""

    tracer = None

    def __init__(
        self, config: GuestConfig, script: Script, args: Sequence[str], files: Mapping[str, bytes]
    ) -> None:
        self.qmp, self._qmp = socket.socketpair()
        console, self._console = socket.socketpair()
        self.consoles = [console]
        self.argv: Sequence[str] = ["/fake/qemu", *args]
        self.config = config
        self.period_ns = config.period_ns
        self.script = script
        self.guests = [
            Guest(vcpu, due_ns=config.period_ns, tmict=config.period_ns)
            for vcpu in range(config.vcpus)
        ]
        self.vcpus_cpu_ns = [0] * config.vcpus
        self.clock = FakeClock()
        self.running = "-S" not in args
        self.state = "running"
        self.migration = "none"
        self.frozen = False
        self.loads = 0
        self.stretch_next_ns = 0
        self.files = dict(files)
        self.snapshots: dict[str, list[Guest]] = {}
        self._then_ns = self.clock.now_ns()
        self._exit: asyncio.Future[QemuExit] = asyncio.get_running_loop().create_future()
        self._tasks = [asyncio.create_task(self._serve()), asyncio.create_task(self._live())]
        if self._argument("-loadvm"):
            self._load(self.files["disk.qcow2"])
        if (uri := self._argument("-incoming")) not in (None, "defer"):
            self._load(self.files[file_in(uri)])
            self.migration = "completed"

    def _argument(self, option: str) -> str | None:
        """Return what follows an option on the command line."""
        return self.argv[self.argv.index(option) + 1] if option in self.argv else None

    # --- QemuProcess ---

    async def vcpu_cpu_ns(self, thread_id: int) -> int:
        if self._exit.done():
            raise ProcessLookupError
        self._advance()
        return self.vcpus_cpu_ns[thread_id - THREAD]

    async def waited_ns(self, besides: Collection[int]) -> int:
        return 0

    async def pin(self, thread_id: int) -> int | None:
        return None

    async def read_file(self, name: str) -> bytes:
        try:
            return self.files[name]
        except KeyError:
            raise FileNotFoundError(name) from None

    async def exited(self) -> QemuExit:
        return await asyncio.shield(self._exit)

    async def kill(self) -> QemuExit:
        self.end(QemuExit(-9, ""))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._writer:
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
        return await self.exited()

    def end(self, how: QemuExit) -> None:
        """End, as if by `how`."""
        if not self._exit.done():
            self._exit.set_result(how)
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        if self._writer:
            self._writer.close()
        else:  # it ended before it served
            self._qmp.close()
        self._console.close()

    # --- the guest ---

    _writer: asyncio.StreamWriter | None = None

    @property
    def guest(self) -> Guest:
        """The guest on the first vCPU."""
        return self.guests[0]

    def _advance(self) -> None:
        now = self.clock.now_ns()
        passed, self._then_ns = now - self._then_ns, now
        if not self.running or self.frozen:
            return
        for guest in self.guests:
            if not guest.halted:
                self.vcpus_cpu_ns[guest.vcpu] += passed
                self._advance_guest(guest, passed)

    def _advance_guest(self, guest: Guest, passed: int) -> None:
        until = guest.ran_ns + passed
        while guest.due_ns is not None and guest.due_ns <= until:
            fired, guest.due_ns = guest.due_ns, None
            guest.ran_ns = fired
            if guest.window_until_ns is None or fired >= guest.window_until_ns:
                self._tick(guest)
            elif self.config.mode == TimerMode.PERIODIC:
                guest.due_ns = fired + self.period_ns
        guest.ran_ns = until

    def _tick(self, guest: Guest) -> None:
        spins = (guest.ran_ns - guest.last_tick_ns) // SPIN_NS
        guest.ticks += 1
        guest.arms += 1
        guest.nmis = 0
        guest.last_tick_ns = guest.ran_ns
        guest.due_ns = guest.ran_ns + self.period_ns + self.stretch_next_ns
        self.stretch_next_ns = 0
        if not guest.mute:
            tsc = guest.ran_ns * 2
            words = (tsc >> 32, tsc & 0xFFFFFFFF, 0, guest.arms)
            self.say(render("T", guest.ticks, spins, *words, vcpu=guest.vcpu))
        if guest.ticks == self.config.control_tick and guest.vcpu == self.config.subject:
            guest.window_until_ns = guest.ran_ns + self.config.control_periods * self.period_ns
            self.say(render("C", guest.ticks, 0, vcpu=guest.vcpu))

    def say(self, line: bytes) -> None:
        with contextlib.suppress(OSError):
            self._console.send(line)

    async def _live(self) -> None:
        if self.running:
            self.say(render("R", 0))
        while True:
            self._advance()
            await asyncio.sleep(0.0005)

    def _block(self, address: int) -> bytes:
        guest = self.guests[(address - STATE_ADDRESS) // STATE_STRIDE]
        in_window = guest.window_until_ns is not None and guest.ran_ns < guest.window_until_ns
        stage = 1 if guest.window_until_ns is None else 2 if in_window else 3
        words = [0] * WORDS
        words[0] = MAGIC
        words[2], words[3] = guest.ticks, guest.arms
        words[4] = (guest.ran_ns - guest.last_tick_ns) // SPIN_NS
        words[5], words[7] = guest.ticks, stage
        if in_window and guest.window_until_ns is not None:
            words[16] = (guest.window_until_ns - guest.ran_ns) // SPIN_NS
        return struct.pack(f"<{len(words)}I", *words)

    def _testify(self, guest: Guest) -> None:
        guest.nmis += 1
        left = 0 if guest.due_ns is None else max(0, guest.due_ns - guest.ran_ns)
        spins = (guest.ran_ns - guest.last_tick_ns) // SPIN_NS
        self.say(
            render("N", guest.nmis, guest.lvtt, guest.tmict, left, int(guest.pending is not None),
                   0, 0, 0, 0, 0, spins, guest.ticks, guest.arms, guest.flags, 0xF000, 0x34,
                   vcpu=guest.vcpu)
        )  # fmt: skip
        if guest.nmis == 3:
            guest.arms += 1
            guest.due_ns = guest.ran_ns + self.period_ns

    # --- QMP ---

    async def _serve(self) -> None:
        reader, self._writer = await asyncio.open_connection(sock=self._qmp)
        self._send({"QMP": {"version": {}, "capabilities": []}})
        async for message in messages(reader):
            name = message["execute"]
            arguments = message.get("arguments", {})
            text = arguments.get("command-line", name)
            self._advance()
            answer: object = None
            for prefix, action in self.script.on_command.items():
                if text.startswith(prefix):
                    answer = action(self)
                    if asyncio.iscoroutine(answer):
                        answer = await answer
            if answer is None:
                answer = self._answer(name, text, arguments)
            if answer is not None:
                self._send({"return": answer, "id": message.get("id")})

    def _send(self, message: object) -> None:
        self.send_raw(json.dumps(message).encode() + b"\r\n")

    def send_raw(self, data: bytes) -> None:
        assert self._writer is not None
        self._writer.write(data)

    def _answer(self, name: str, text: str, arguments: Mapping[str, object]) -> object:
        looked_at = self.guests
        if name == "human-monitor-command":
            looked_at = [self.guests[int(str(arguments.get("cpu-index", 0)))]]
        for guest in looked_at:
            if guest.pending == text:
                guest.pending = None
                guest.due_ns = guest.ran_ns
        match name:
            case "query-cpus-fast":
                return [{"thread-id": THREAD + guest.vcpu} for guest in self.guests]
            case "query-status":
                return {"status": self.state if self.running else "paused"}
            case "stop" | "cont":
                self.running = name == "cont"
            case "pmemsave":
                self.files[str(arguments["filename"])] = self._block(int(str(arguments["val"])))
            case "query-stats":
                return []
            case "query-migrate":
                return {"status": self.migration, "error-desc": "the fake said so"}
            case "migrate":
                # QEMU is done before the shell that writes the file is.
                asyncio.get_running_loop().call_later(
                    0.01,
                    self.files.__setitem__,
                    file_in(arguments["uri"]),
                    pickle.dumps(self.guests),
                )
                self._migrated()
            case "migrate-incoming":
                self._load(self.files[file_in(arguments["uri"])])
                self._migrated()
            case "inject-nmi":
                for guest in self.guests:
                    self._testify(guest)
            case "human-monitor-command":
                return self._hmp(text, *looked_at)
        return {}

    def _migrated(self) -> None:
        for status in ("active", "completed"):
            self.migration = status
            stamp = {"seconds": 1, "microseconds": 0}
            self._send({"event": "MIGRATION", "timestamp": stamp, "data": {"status": status}})

    def _load(self, state: bytes) -> None:
        """Take over a state, and let the script have its way with it."""
        self.guests = pickle.loads(state)
        self.loads += 1
        for guest in self.guests:
            self.script.on_load(self, guest, self.loads)

    def _hmp(self, text: str, guest: Guest) -> str:
        command, _, tag = text.partition(" ")
        match command:
            case "savevm":
                self.snapshots[tag] = copy.deepcopy(self.guests)
                self.files["disk.qcow2"] = pickle.dumps(self.guests)
            case "loadvm":
                self._load(pickle.dumps(self.snapshots[tag]))
            case "xp":
                words = struct.unpack(f"<{WORDS}I", self._block(int(tag.split()[-1], 16)))
                return "1000: " + " ".join(f"0x{word:08x}" for word in words)
            case "info" if tag == "lapic":
                return (
                    f"LVTT\t 0x{guest.lvtt:08x} active-hi edge one-shot Fixed (vec 64)\n"
                    f"Timer\t DCR=0xb (divide by 1) initial_count = {guest.tmict} "
                    "current_count = 5\nISR\t (none)\nIRR\t (none)\n"
                )
            case "info":
                return f"EIP=00000034 EFL={guest.flags:08x} HLT={int(guest.halted)}"
        return ""


class FakeHost:
    """A host of scripted QEMUs."""

    qemu = "/fake/qemu"

    def __init__(self, script: Script | None = None, facts: HostFacts = FACTS) -> None:
        self._facts = facts
        self.clock = FakeClock()
        self.script = script or Script(immediate)
        self.started: list[FakeQemu] = []
        self.refuse: str | None = None
        self.pressure: list[float] = []

    async def facts(self) -> HostFacts:
        return self._facts

    async def empty_disk(self) -> bytes:
        return b""

    async def read_file(self, path: str) -> str:
        raise FileNotFoundError(path)

    async def pressure_percent(self) -> float | None:
        return self.pressure.pop(0) if self.pressure else None

    max_consoles = 1

    async def start_qemu(
        self, args: Sequence[str], files: Mapping[str, bytes], *, consoles: int = 1
    ) -> FakeQemu:
        if self.refuse:
            raise QemuStartError(self.refuse)
        record = re.search(r"string=LTK1(\w+)", " ".join(args))
        assert record is not None
        mode, _, period, control, periods, *_, vcpus, _, subject = (
            int(record[1][at : at + 8], 16) for at in range(0, len(record[1]), 8)
        )
        config = GuestConfig(
            mode=MODES[mode], period_ns=period, control_tick=control,
            control_periods=periods, vcpus=vcpus, subject=subject,
        )  # fmt: skip
        qemu = FakeQemu(config, self.script, args, files)
        self.started.append(qemu)
        return qemu
