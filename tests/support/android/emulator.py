"""Stands in for the Android Emulator: takes its options, and speaks its console.

The guest is the tick firmware in a real QEMU with the emulator's machine type. Its heartbeat is
the number of its ticks. Saves and loads are those of the emulator: stop, savevm or loadvm, start.
The variable STANDIN holds the behaviour (`Behaviour`) as JSON.

The console's words are those of the emulator's android/console.cpp.
"""

import asyncio
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from orchestrator.clock import Clock, LocalClock
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.wait import Wait
from orchestrator.host.chardevs import chardev_args
from orchestrator.qmp.errors import MonitorError
from orchestrator.qmp.monitor import Monitor
from orchestrator.vm.argv import DISK_FILE, qemu_args
from orchestrator.vm.config import Accel, InstanceConfig

VARIABLE = "STANDIN"

#: Options of the emulator, with the number of their values.
OPTIONS = {
    "-avd": 1, "-ports": 1, "-gpu": 1, "-no-window": 0, "-no-audio": 0, "-no-boot-anim": 0,
    "-no-snapshot": 0, "-read-only": 0, "-memory": 1,
}  # fmt: skip

#: The emulator's machine type.
MACHINE = "pc-i440fx-2.12"


@dataclass(frozen=True)
class Behaviour:
    """What a test wants of the stand-in."""

    accel: str = "tcg"
    mode: str = "one-shot"
    period_ms: int = 200
    vcpus: int = 1
    qemu: list[str] = field(default_factory=lambda: ["qemu-system-x86_64"])
    """QEMU's command, without its options."""
    environment: dict[str, str] = field(default_factory=dict)
    """Variables for QEMU, such as a shim's."""
    boot_s: float = 0.3
    """Time until adb says that Android has booted; negative: it never does."""
    token: str | None = None
    """The token that the console wants; None for none."""
    refuse: dict[str, str] = field(default_factory=dict)
    """Reasons by the word of `avd snapshot` that is refused."""
    silent_after: int | None = None
    """The load after which the heartbeat stops, although the guest ticks on."""
    dies_at: str = ""
    """When the emulator ends: `start`, `boot`, `save` or `load`."""
    stays_stopped: bool = False
    """Whether a load leaves the guest stopped."""
    hangs_at: str = ""
    """The word of `avd snapshot` to which the console never answers."""
    deaf_after: int | None = None
    """The load after which the guest does not answer adb."""
    log: str = ""
    """A file that gets each command of the console."""

    def variable(self) -> str:
        return json.dumps(asdict(self))


class StandIn:
    """A running stand-in."""

    def __init__(self, options: dict[str, str], behaviour: Behaviour, rest: list[str]) -> None:
        self.options = options
        self.behaviour = behaviour
        self.rest = rest
        self.ticks = self.loads = 0
        self.silent_at: int | None = None
        self.clock: Clock = LocalClock()
        self.ticked = asyncio.Event()
        self.ended = asyncio.Event()
        self.began = asyncio.get_running_loop().time()

    async def run(self) -> int:
        if self.behaviour.dies_at == "start":
            print("PANIC: Cannot find AVD system path.\033[31m Please define ANDROID_SDK_ROOT")
            return 1
        config = InstanceConfig(
            Accel(self.behaviour.accel),
            GuestConfig(
                mode=self.behaviour.mode, period_ns=self.behaviour.period_ms * 1_000_000,
                vcpus=self.behaviour.vcpus, wait=Wait.HALT, shared_port=True,
            ),
            machine=MACHINE,
            cpu_model="qemu64" if self.behaviour.mode != "one-shot" else "qemu64,-tsc-deadline",
        )  # fmt: skip
        for name, content in config.program.files.items():
            Path(name).write_bytes(content)
        make_disk()
        pairs = [socket.socketpair() for _ in range(2)]
        (qmp, qmp_theirs), (console, console_theirs) = pairs
        fds = [qmp_theirs.fileno(), console_theirs.fileno()]
        self.qemu = await asyncio.create_subprocess_exec(
            *self.behaviour.qemu, *chardev_args(fds[0], fds[1:]), *qemu_args(config, MACHINE),
            *self.rest, pass_fds=fds, env={**os.environ, **self.behaviour.environment},
            preexec_fn=dies_with_parent,
        )  # fmt: skip
        qmp_theirs.close()
        console_theirs.close()
        self.monitor = await Monitor.connect(qmp, self.clock)
        hearing = asyncio.create_task(self.hear(console))
        dying = asyncio.create_task(self.qemu.wait())
        port, adb_port = map(int, self.options["-ports"].split(","))
        servers = [
            await asyncio.start_server(self.console, "127.0.0.1", port),
            await asyncio.start_server(self.adb, "127.0.0.1", adb_port),
        ]
        announced = self.announce(port)
        ended = asyncio.create_task(self.ended.wait())
        await asyncio.wait({ended, dying}, return_when=asyncio.FIRST_COMPLETED)
        announced.unlink(missing_ok=True)
        if self.qemu.returncode is None:
            self.qemu.kill()
        await dying
        for server in servers:
            server.close()
        hearing.cancel()
        return 0 if self.ended.is_set() else 1

    def announce(self, port: int) -> Path:
        folder = Path(os.environ["ANDROID_AVD_HOME"]) / "running"
        folder.mkdir(exist_ok=True)
        file = folder / f"pid_{os.getpid()}.ini"
        file.write_text(
            f"port.serial={port}\nport.adb={port + 1}\navd.name={self.options['-avd']}\n"
        )
        return file

    async def hear(self, stream: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=stream)
        while line := await reader.readline():
            if line.startswith(b"T"):
                self.tick()
        writer.close()

    def tick(self) -> None:
        self.ticks += 1
        self.ticked.set()

    async def console(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(*lines: str) -> None:
            writer.write("".join(f"{line}\r\n" for line in lines).encode())

        locked = self.behaviour.token is not None
        if locked:
            say(
                "Android Console: Authentication required",
                "Android Console: type 'auth <auth_token>' to authenticate",
                "Android Console: you can find your <auth_token> in ",
                "'/home/user/.emulator_console_auth_token'",
                "OK",
            )
        else:
            say("Android Console: type 'help' for a list of commands", "OK")
        while line := (await reader.readline()).decode().strip():
            self.note(line)
            word, _, rest = line.partition(" ")
            if locked:
                if word == "auth" and rest == self.behaviour.token:
                    locked = False
                    say("Android Console: type 'help' for a list of commands", "OK")
                elif word == "auth":
                    say("KO: authentication token does not match ~/.emulator_console_auth_token")
                else:
                    say("KO: unknown command, try 'help'")
            elif line == "kill":
                say("OK: killing emulator, bye bye")
                await writer.drain()
                self.ended.set()
            elif line == "avd heartbeat":
                say(f"heartbeat: {self.beats}", "OK")
            elif line == "avd status":
                status = await self.monitor.execute("query-status")
                say(f"virtual device is {'running' if status['running'] else 'stopped'}", "OK")
            elif line.startswith("avd snapshot "):
                said = await self.snapshot(*line.split(" ")[2:])
                self.note(f"{line} -> {said.decode().split()[-1]}")
                writer.write(said)
            else:
                say("KO: unknown command, try 'help'")
            await writer.drain()
        writer.close()

    def note(self, words: str) -> None:
        if self.behaviour.log:
            note(Path(self.behaviour.log), words)

    @property
    def beats(self) -> int:
        return self.ticks if self.silent_at is None else self.silent_at

    async def snapshot(self, word: str, tag: str = "") -> bytes:
        behaviour = self.behaviour
        if "-read-only" in self.options and word != "list":
            return f'KO: Snapshot {word} is disabled because "-read-only" was specified\n'.encode()
        if word in behaviour.refuse:  # in pieces, and without a line's end
            return "".join(f"KO: {part}" for part in behaviour.refuse[word].split("|")).encode()
        if behaviour.dies_at == word:
            self.qemu.kill()
            await asyncio.sleep(60)
        if behaviour.hangs_at == word:
            await asyncio.sleep(600)
        if word == "list":
            return (await self.monitor.hmp("info snapshots")).encode() + b"OK\r\n"
        try:
            if word == "save":
                await self.between_ticks()
            if word in ("save", "load"):
                await self.monitor.execute("stop")
            command = {"save": "savevm", "load": "loadvm", "delete": "delvm"}[word]
            await self.monitor.hmp_do(f"{command} {tag}", deadline_ns=30_000_000_000)
            self.loads += word == "load"
            if behaviour.silent_after == self.loads and self.silent_at is None:
                self.silent_at = self.ticks
            if word == "save" or (word == "load" and not behaviour.stays_stopped):
                await self.monitor.execute("cont")
        except MonitorError as error:
            return f"KO: {error.seen}\r\n".encode()
        return b"OK\r\n"

    async def between_ticks(self) -> None:
        """Wait for a moment at which no tick is due soon: a pending one would survive a load."""
        self.ticked.clear()
        await self.ticked.wait()
        await self.clock.sleep(self.behaviour.period_ms * 200_000)

    async def adb(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        words = (await reader.readline()).decode().split()
        up_s = asyncio.get_running_loop().time() - self.began
        if self.loads >= (self.behaviour.deaf_after or 0) and self.behaviour.deaf_after is not None:
            await asyncio.sleep(600)
        if words[:2] == ["getprop", "sys.boot_completed"]:
            booted = 0 <= self.behaviour.boot_s <= up_s
            writer.write(b"1\n" if booted else b"\n")
            if self.behaviour.dies_at == "boot":
                print("qemu: fatal: Could not allocate memory")
                os._exit(134)
        elif words == ["cat", "/proc/uptime"]:
            writer.write(f"{self.ticks * self.behaviour.period_ms / 1000:.2f} 1.00\n".encode())
        await writer.drain()
        writer.close()


def make_disk() -> None:
    command = ["qemu-img", "create", "-q", "-f", "qcow2", DISK_FILE, "1G"]
    subprocess.run(command, check=True, timeout=20)


def note(file: Path, line: str) -> None:
    with file.open("a") as log:
        log.write(line + "\n")


def dies_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))


def parsed(args: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return the options, and what follows `-qemu`."""
    options, args = {}, list(args)
    while args:
        name = args.pop(0)
        if name == "-qemu":
            return options, args
        if name not in OPTIONS:
            sys.exit(f"unknown option: {name}\nplease use -help for a list of valid options")
        options[name] = args.pop(0) if OPTIONS[name] else ""
    return options, []


def main() -> None:
    options, rest = parsed(sys.argv[1:])
    behaviour = Behaviour(**json.loads(os.environ.get(VARIABLE, "{}")))
    avds = Path(os.environ["ANDROID_AVD_HOME"])
    if not (avds / f"{options['-avd']}.ini").exists():
        sys.exit(f"PANIC: Unknown AVD name [{options['-avd']}], use -list-avds to see valid list.")

    async def run() -> int:
        return await StandIn(options, behaviour, rest).run()

    code = asyncio.run(run())
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
