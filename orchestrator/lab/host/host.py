"""A lab as a host: QEMU runs inside it, and is driven from outside over a serial line."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, BinaryIO

from orchestrator.clock import DEFAULT_DEADLINES, Deadlines
from orchestrator.errors import LosttickError
from orchestrator.host.errors import QemuStartError
from orchestrator.host.facts import HostFacts, QemuFacts
from orchestrator.lab.emulator.boot import Lab, LabError
from orchestrator.lab.host.image import LabImage
from orchestrator.lab.host.link import Frame, LabClock, Link
from orchestrator.lab.host.process import QEMUS, STARTING, LabQemu
from orchestrator.process.background import in_thread

#: From the start of the emulator to the agent's first word, by our clock.
BOOT_S = 180.0


class LabHost:
    """A booted lab, on which QEMU can be started."""

    def __init__(
        self,
        image: LabImage,
        host: HostFacts,
        log: BinaryIO | None = None,
        deadlines: Deadlines = DEFAULT_DEADLINES,
    ) -> None:
        """Prepare; `booted` boots it.

        Args:
            image: what to boot.
            host: this machine's facts: those of the lab take the place of what it emulates.
            log: gets the words of the lab's serial port.
            deadlines: how long each kind of step may take, in the lab's time.
        """
        self.image = image
        self.deadlines = deadlines
        self.cpus = image.cpus
        self.qemu = image.qemu
        self.trouble: LabError | None = None
        """What became of the lab, if it ended before its time."""
        self.boot_s = 0.0
        """From the start of the emulator to the agent's first word, by our clock."""
        self._lab: Lab | None = None
        self._link: Link | None = None
        self._host, self._log = host, log
        self._qemus: dict[int, LabQemu] = {}

    @property
    def clock(self) -> LabClock:
        """The lab's clock."""
        return self._connected.clock

    @property
    def _connected(self) -> Link:
        if self._link is None:
            raise QemuStartError("it is not booted", doing=STARTING)
        return self._link

    @contextlib.asynccontextmanager
    async def booted(self) -> AsyncIterator["LabHost"]:
        """Boot the lab, and end it with the context.

        Raises:
            LabError: it did not come up.
        """
        loop = asyncio.get_running_loop()
        token = secrets.token_hex(8).encode()
        greeted: asyncio.Future[Link] = loop.create_future()

        def hello(link: Link, said: bytes) -> None:
            if said == token and not greeted.done():
                greeted.set_result(link)
            else:  # not our lab: another program of this machine found the port
                link.close()

        began = time.monotonic()
        server = await loop.create_server(
            lambda: Link(hello, self._hear, self._lost), "127.0.0.1", 0
        )
        port = server.sockets[0].getsockname()[1]
        image = self.image
        cd = await in_thread(image.cd, token.decode())
        self._lab = lab = Lab(
            image.bochs, cd, memory_mib=image.memory_mib, cpus=image.cpus, port=port, log=self._log
        )
        serial = asyncio.create_task(self._follow(lab))
        ready = asyncio.gather(greeted, lab.described.wait())
        try:
            either: set[asyncio.Future[Any]] = {ready, serial}
            await asyncio.wait(either, timeout=BOOT_S, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                raise self.trouble or LabError(
                    f"it did not boot: its agent said nothing in {BOOT_S:g} s", lab.serial
                )
            self._link = greeted.result()
            self.boot_s = time.monotonic() - began
            yield self
        finally:
            for waiting in (serial, ready):
                waiting.cancel()
            await asyncio.gather(serial, ready, return_exceptions=True)
            if self._link:
                self._link.close()
            server.close()
            for qemu in list(self._qemus.values()):
                qemu.end(1, "its lab has ended")

    async def _follow(self, lab: Lab) -> None:
        """Read the kernel's words until the lab ends."""
        try:
            async with contextlib.aclosing(lab.lines()) as lines:
                async for _ in lines:
                    pass
            raise LabError("it ended", lab.serial)
        except LabError as error:
            self.trouble = error
        except LosttickError as error:
            self.trouble = LabError(str(error), lab.serial)
        for qemu in list(self._qemus.values()):
            qemu.end(1, str(self.trouble))

    def _hear(self, frame: Frame) -> None:
        if self._lab:
            self._lab.sign_of_life()
        if qemu := self._qemus.get(frame.qemu):
            qemu.hear(frame)

    def _lost(self, why: str) -> None:
        for qemu in list(self._qemus.values()):
            qemu.end(1, str(self.trouble or why))

    def forget(self, number: int) -> None:
        """Note that a QEMU is over."""
        self._qemus.pop(number, None)

    @property
    def facts(self) -> HostFacts:
        """Identity of the booted lab and of its QEMU."""
        lab = self._lab
        if lab is None:
            raise LabError("reading the lab's facts: it is not booted", [])
        return lab_facts(self._host, lab, self.cpus, self.image.packaged.facts)

    #: All that QEMU's guest says comes over one line, in its order.
    max_consoles = 1

    async def start_qemu(
        self, args: Sequence[str], files: Mapping[str, bytes], *, consoles: int = 1
    ) -> LabQemu:
        """Start QEMU in the lab; see `Host.start_qemu`."""
        number = next((n for n in range(QEMUS) if n not in self._qemus), None)
        if number is None:
            raise QemuStartError(f"it runs {QEMUS} already", doing=STARTING)
        qemu = self._qemus[number] = LabQemu(self, self._connected, number)
        try:
            await qemu.start(args, files)
        except BaseException:
            await qemu.kill()
            for stream in (qemu.qmp, *qemu.consoles):
                stream.close()
            raise
        return qemu

    async def empty_disk(self) -> bytes:
        """Return an empty qcow2 image, which the lab holds already."""
        return self.image.packaged.disk

    async def pressure_percent(self) -> float | None:
        """Return nothing: what stalls a lab is this machine, and its clock stops with it."""
        return None

    async def read_file(self, path: str) -> str:
        """Return a text file of the lab."""
        return (await self._connected.ask(b"R", 0, path.encode())).decode()


def lab_facts(host: HostFacts, lab: Lab, cpus: int, qemu: QemuFacts | None = None) -> HostFacts:
    """Return the facts of a lab: this machine's, with what it emulates in place of its own."""
    return replace(
        host,
        kernel=lab.facts.kernel,
        kernel_build=lab.facts.build,
        cpu="Bochs corei7_skylake_x",
        vendor="GenuineIntel",
        family_model_stepping="6/85/4",
        microcode=None,
        cpus=cpus,
        vmx_flags=lab.facts.vmx_flags,
        kvm_modules=lab.facts.modules,
        kvm_device="usable",
        tracefs=None,
        hypervisor=True,
        qemu=qemu,
    )
