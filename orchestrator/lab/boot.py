"""Boots a lab, runs one program in it, and hears what it says.

The kernel's serial port is Bochs's standard output: nothing is polled, and nothing is
left on disk. Each way to fail has words of its own.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field

from orchestrator.errors import InfraError
from orchestrator.host.supervised import Supervised
from orchestrator.lab.bochs import Bochs

#: The longest silence: a boot says nothing for some 10 s, a series of losses for 20.
SILENCE_S = 90.0

CD_FILE = "lab.iso"

_SERIAL_TAIL_LINES = 12


class LabError(InfraError):
    """The lab did not do what it was booted for."""

    def __init__(self, seen: str, serial: list[str]) -> None:
        said = "\n  ".join(serial[-_SERIAL_TAIL_LINES:]) or "(nothing)"
        super().__init__(f"running the lab: {seen}. The last words on its serial port:\n  {said}")


@dataclass(slots=True)
class LabFacts:
    """What the lab says of itself."""

    kernel: str = ""
    build: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    """Of the module kvm_intel."""


def bochs_config(bochs: Bochs, memory_mib: int = 512) -> str:
    """Return Bochs's configuration: the settings with which Linux boots and KVM has APICv.

    `ips` is also the TSC's frequency; with `sync=none` the emulated clock counts
    instructions, not our seconds.
    """
    return f"""\
cpu: model=corei7_skylake_x, count=1, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1
clock: sync=none, time0=utc, rtc_sync=0
memory: guest={memory_mib}, host={memory_mib}
romimage: file={bochs.bios}
vgaromimage: file={bochs.vga_bios}
pci: enabled=1, chipset=i440fx
ata0-master: type=cdrom, path={CD_FILE}, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=/dev/stdout
display_library: nogui
log: /dev/null
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
"""


class Lab:
    """One booted machine."""

    def __init__(self, bochs: Bochs, cd: bytes) -> None:
        """Prepare; `lines` boots it.

        Args:
            bochs: the emulator.
            cd: the image to boot.
        """
        self._cd = cd
        self._bochs = bochs
        self._heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.facts = LabFacts()
        self.serial: list[str] = []
        """Every line of the serial port."""

    async def lines(self) -> AsyncGenerator[str, None]:
        """Boot, and yield each line that the program prints, until it has ended well.

        Raises:
            LabError: the kernel panicked, a module did not load, the program failed, or the
                emulator stalled or ended.
        """
        emulator = Supervised(
            [str(self._bochs.program), "-q", "-f", "bochsrc"],
            what="Bochs",
            on_output=self._heard.put_nowait,
        )
        files: Mapping[str, bytes] = {
            "bochsrc": bochs_config(self._bochs).encode(),
            CD_FILE: self._cd,
        }
        try:
            await emulator.start(files, (), {})
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
        finally:
            await emulator.kill()

    async def _serial_lines(self, end: "asyncio.Task[object]") -> AsyncIterator[str]:
        text = b""
        while True:
            chunk = asyncio.create_task(self._heard.get())
            done, _ = await asyncio.wait(
                {chunk, end}, timeout=SILENCE_S, return_when=asyncio.FIRST_COMPLETED
            )
            if chunk not in done:
                chunk.cancel()
                if end in done:
                    raise LabError(f"the emulator ended before the program did: {end.result()}",
                                   self.serial)  # fmt: skip
                raise LabError(f"the emulator stalled: no word in {SILENCE_S:g} s", self.serial)
            text += chunk.result()
            *whole, text = text.split(b"\n")
            for line in whole:
                shown = line.decode(errors="replace").rstrip("\r")
                self.serial.append(shown)
                yield shown

    def _understand(self, line: str) -> int | None:
        """Take note of a line; return the program's exit code if it says that."""
        if panic := re.search(r"Kernel panic.*", line):
            raise LabError(f"its kernel panicked ({panic[0]})", self.serial)
        match line.split(" ", 2):
            case ["LAB", "kernel", release]:
                self.facts.kernel = release
            case ["LAB", "build", build]:
                self.facts.build = build
            case ["LAB", "parameter", parameter]:
                name, _, value = parameter.partition("=")
                self.facts.parameters[name] = value
            case ["LAB", "failed", what]:
                raise LabError(f"KVM did not come up in it ({what})", self.serial)
            case ["LAB", "exit", "0"]:
                return 0
            case ["LAB", "exit", code]:
                raise LabError(f"the program in it ended with {code}", self.serial)
        return None
