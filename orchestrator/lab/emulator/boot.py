"""Boots a lab, runs one program in it, and reads the lab's serial port.

The kernel's serial port is Bochs's standard error: nothing is polled, and nothing is left on
disk. Each kind of failure has its own message.
"""

import asyncio
import collections
import logging
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.clock import DEFAULT_DEADLINES, Deadlines
from orchestrator.errors import InfraError
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.emulator.pace import Pace
from orchestrator.process.supervised import supervise
from orchestrator.vm.tee import Tee

_log = logging.getLogger(__name__)

CD_FILE = "lab.iso"


#: Longest line of the serial port. A longer one is cut: a kernel that has gone mad never ends it.
_LONGEST_LINE_BYTES = 4096


#: Lines of the serial port that are kept, for the messages of errors.
_SERIAL_TAIL_LINES = 12


class LabError(InfraError):
    """The lab did not do what it was booted for."""

    def __init__(self, seen: str, serial: Iterable[str], *, transient: bool = False) -> None:
        """Build the message.

        Args:
            seen: what happened, for a person.
            serial: the last lines of the lab's serial port.
            transient: whether this computer had no time or no room for the lab.
        """
        self._transient = transient
        said = "\n  ".join(serial) or "(nothing)"
        super().__init__(f"running the lab: {seen}. The last words on its serial port:\n  {said}")

    @property
    def transient(self) -> bool:
        """True if this computer had no time or no room for the lab at the moment."""
        return self._transient


@dataclass(slots=True)
class LabFacts:
    """Facts that the lab prints about itself."""

    kernel: str = ""
    build: str = ""
    modules: dict[str, dict[str, str]] = field(default_factory=dict)
    """KVM's modules and their parameters."""
    vmx_flags: tuple[str, ...] = ()


def bochs_config(bochs: Bochs, memory_mib: int, cpus: int, agent_fd: int | None) -> str:
    """Return Bochs's configuration, with which Linux boots and KVM has APICv.

    The second serial port is the socket `agent_fd`, which Bochs inherits.

    `ips` is also the frequency of the TSC. With `sync=none` the emulated clock counts
    instructions, not seconds of this host.
    """
    agent = "" if agent_fd is None else f"com2: enabled=1, mode=socket-client, dev=fd:{agent_fd}\n"
    return f"""\
cpu: model=corei7_skylake_x, count={cpus}, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1
clock: sync=none, time0=utc, rtc_sync=0
memory: guest={memory_mib}, host={memory_mib}
romimage: file={bochs.bios}
vgaromimage: file={bochs.vga_bios}
pci: enabled=1, chipset=i440fx
ata0-master: type=cdrom, path={CD_FILE}, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=/dev/stderr
{agent}display_library: nogui
log: /dev/null
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
"""


class Lab:
    """One emulated machine."""

    def __init__(
        self,
        bochs: Bochs,
        cd: bytes,
        *,
        memory_mib: int = 512,
        cpus: int = 1,
        agent: socket.socket | None = None,
        log: Tee | None = None,
        deadlines: Deadlines = DEFAULT_DEADLINES,
    ) -> None:
        """Prepare; `lines` boots it.

        Args:
            bochs: the emulator.
            cd: the image to boot.
            memory_mib: memory of the emulated machine.
            cpus: CPUs of the emulated machine.
            agent: the lab's end of the line to its agent, which is the second serial port.
            log: a file that gets the output of the first serial port.
            deadlines: how long the lab may say nothing.
        """
        self._bochs = bochs
        self._agent = agent
        self._log = log
        self._silence_s = deadlines.lab_silence_ns / 1e9
        self._quiet = Pace()
        self.pace = Pace()
        """The time that the emulator had since the start of the lab."""
        self._files: Mapping[str, bytes] = {
            "bochsrc": bochs_config(
                bochs, memory_mib, cpus, agent.fileno() if agent else None
            ).encode(),
            CD_FILE: cd,
        }
        self._heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.facts = LabFacts()
        self.described = asyncio.Event()
        """Set when the lab has printed all of its facts: a serial port is slow."""
        self.serial: collections.deque[str] = collections.deque(maxlen=_SERIAL_TAIL_LINES)
        """The last lines of the serial port."""
        self.trouble: LabError | None = None
        """The error with which the lab ended. It is set before the emulator is killed."""

    async def lines(self) -> AsyncGenerator[str, None]:
        """Boot, and yield each line that the program prints, until it has ended well.

        Raises:
            LabError: the kernel panicked, a module did not load, the program failed, or the
                emulator stalled or ended.
        """
        emulator = await supervise(
            [str(self._bochs.program), "-q", "-f", "bochsrc"],
            self._files,
            what="Bochs",
            pass_fds=[self._agent.fileno()] if self._agent else [],
            on_output=self._heard.put_nowait,
        )
        try:
            if self._agent:
                self._agent.close()  # the emulator has it
            self.pace.restart(emulator.pid)
            end = asyncio.create_task(emulator.exited())
            try:
                async for line in self._serial_lines(end):
                    code = self._understand(line)
                    if code == 0:
                        return
                    if code is None and not line.startswith("LAB "):
                        yield line
            finally:
                end.cancel()
        except LabError as error:
            self.trouble = error
            raise
        finally:
            await emulator.kill()

    def sign_of_life(self) -> None:
        """Note that the lab lives, as its agent has spoken."""
        self._quiet.restart(self.pace.pid)

    def excuse(self) -> str:
        """Return why the lab has been silent since its last sign of life; see `Pace.excuse`."""
        return self._quiet.excuse()

    async def _next_chunk(self, end: "asyncio.Task[object]") -> bytes:
        """Wait for the next bytes of the serial port.

        Raises:
            LabError: the emulator ended, or the lab was silent for too long.
        """
        self.sign_of_life()
        chunk = asyncio.create_task(self._heard.get())
        try:
            while (left_s := self._quiet.left_s(self._silence_s)) > 0:
                done, _ = await asyncio.wait(
                    {chunk, end}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED
                )
                if chunk in done:
                    return chunk.result()
                if end in done:
                    raise LabError(
                        f"the emulator ended before the program did: {end.result()}", self.serial
                    )
            excuse = self.excuse()
            raise LabError(
                f"the emulator stalled: no word in {self._silence_s:g} s{excuse}",
                self.serial,
                transient=bool(excuse),
            )
        finally:
            chunk.cancel()

    async def _serial_lines(self, end: "asyncio.Task[object]") -> AsyncIterator[str]:
        text = b""
        while True:
            chunk = await self._next_chunk(end)
            self._copy(chunk)
            text += chunk
            *whole, text = text.split(b"\n")
            if len(text) > _LONGEST_LINE_BYTES:
                whole, text = [*whole, text], b""
            for line in whole:
                shown = line.decode(errors="replace").rstrip("\r")
                self.serial.append(shown)
                yield shown

    def _copy(self, chunk: bytes) -> None:
        """Copy output to the log. A full disk ends the copy, not the lab."""
        if self._log:
            try:
                self._log.write(chunk)
            except OSError as error:
                _log.warning("the log of a lab's serial port ends early: %s", error.strerror)
                self._log = None

    def _understand(self, line: str) -> int | None:
        """Note what a line says; return the program's exit code if the line has it."""
        if panic := re.search(r"Kernel panic.*", line):
            raise LabError(f"its kernel panicked ({panic[0]})", self.serial)
        match line.split(" ", 2):
            case ["LAB", "kernel", release]:
                self.facts.kernel = release
            case ["LAB", "build", build]:
                self.facts.build = build
            case ["LAB", "vmx", flags]:
                self.facts.vmx_flags = tuple(flags.split())
                self.described.set()
            case ["LAB", "parameter", parameter]:
                module, _, setting = parameter.partition(" ")
                name, _, value = setting.partition("=")
                self.facts.modules.setdefault(module, {})[name] = value
            case ["LAB", "failed", what]:
                raise LabError(f"KVM did not come up in it ({what})", self.serial)
            case ["LAB", "exit", "0"]:
                return 0
            case ["LAB", "exit", code]:
                raise LabError(f"the program in it ended with {code}", self.serial)
        return None
