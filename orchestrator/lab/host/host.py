"""A lab as a host: QEMU runs inside it, and is driven from outside over a serial line."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, BinaryIO

from orchestrator.clock import DEFAULT_DEADLINES, Deadlines
from orchestrator.errors import LosttickError
from orchestrator.host.errors import QemuStartError
from orchestrator.host.facts import HostFacts, QemuFacts
from orchestrator.lab.emulator.boot import Lab, LabError
from orchestrator.lab.host.image import LabImage, module_options, module_path
from orchestrator.lab.host.link import Frame, LabClock, Link, LinkError
from orchestrator.lab.host.process import QEMUS, STARTING, LabQemu
from orchestrator.lab.kernel.kernel import MODULES, Kernel
from orchestrator.process.background import in_thread

#: KVM's modules that differ between the arms of one kernel, in the order in which they load.
_RELOADED = ("kvm", "kvm-intel")


#: How often to try to unload a module that a QEMU which has just ended still holds, and the
#: lab's time between two attempts.
_UNLOAD_ATTEMPTS, _UNLOAD_RETRY_NS = 50, 20_000_000


class _Programs:
    """The programs that run in a lab, and what became of the lab."""

    def __init__(self) -> None:
        self.running: dict[int, LabQemu] = {}
        self.trouble: LabError | None = None

    def hear(self, frame: Frame) -> None:
        if qemu := self.running.get(frame.qemu):
            qemu.hear(frame)

    def end_all(self, why: str) -> None:
        for qemu in list(self.running.values()):
            qemu.end(1, str(self.trouble or why))

    async def follow(self, lab: Lab) -> None:
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
        self.end_all(str(self.trouble))


@contextlib.asynccontextmanager
async def boot(
    image: LabImage,
    here: HostFacts,
    log: BinaryIO | None = None,
    deadlines: Deadlines = DEFAULT_DEADLINES,
) -> AsyncIterator["LabHost"]:
    """Boot a lab, and end it with the context.

    Args:
        image: the lab.
        here: facts of the host that emulates the lab. The lab's facts are these, with what
            is emulated in place of the host's own.
        log: a file that gets the output of the lab's serial port.
        deadlines: how long each kind of step may take, in the lab's time.

    Raises:
        LabError: the lab did not come up.
        PackagesError, NoCompilerError: what the lab is made of can't be had here.
    """
    loop = asyncio.get_running_loop()
    token = secrets.token_hex(8).encode()
    greeted: asyncio.Future[Link] = loop.create_future()
    programs = _Programs()

    def hello(link: Link, said: bytes) -> None:
        if said == token and not greeted.done():
            greeted.set_result(link)
            server.close()  # nobody else is to find the port
        else:  # another program of this host has found the port
            link.close()

    def lost(link: Link, why: str) -> None:
        if greeted.done() and not greeted.cancelled() and greeted.result() is link:
            programs.end_all(why)

    def hear(frame: Frame) -> None:
        lab.sign_of_life()
        programs.hear(frame)

    began = time.monotonic()
    cd = await in_thread(image.cd, token.decode())
    server = await loop.create_server(lambda: Link(hello, hear, lost, deadlines), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    lab = Lab(
        image.bochs, cd, memory_mib=image.memory_mib, cpus=image.cpus, port=port, log=log,
        deadlines=deadlines,
    )  # fmt: skip
    limit_s = deadlines.lab_boot_ns / 1e9
    serial = asyncio.create_task(programs.follow(lab))
    ready = asyncio.gather(greeted, lab.described.wait())
    try:
        either: set[asyncio.Future[Any]] = {ready, serial}
        done: set[asyncio.Future[Any]] = set()
        while not done and (left_s := lab.pace.left_s(limit_s)) > 0:
            done, _ = await asyncio.wait(
                either, timeout=left_s, return_when=asyncio.FIRST_COMPLETED
            )
        if not ready.done():
            raise programs.trouble or LabError(
                f"it did not boot: its agent said nothing in {limit_s:g} s{lab.pace.excuse()}",
                lab.serial,
            )
        facts = lab_facts(here, lab, image.cpus, image.qemu_facts)
        boot_s = time.monotonic() - began
        yield LabHost(image, lab, greeted.result(), programs, facts, boot_s, deadlines)
    finally:
        for waiting in (serial, ready):
            waiting.cancel()
        await asyncio.gather(serial, ready, return_exceptions=True)
        if greeted.done() and not greeted.cancelled():
            greeted.result().close()
        server.close()
        programs.end_all("its lab has ended")


class LabHost:
    """A booted lab, on which QEMU can be started. `boot` makes it."""

    #: All that a guest prints comes over one line, in its order.
    max_consoles = 1

    #: On an emulated CPU, a UART's system calls take longer than everything else.
    slow_uart = True

    def __init__(
        self,
        image: LabImage,
        lab: Lab,
        link: Link,
        programs: _Programs,
        facts: HostFacts,
        boot_s: float,
        deadlines: Deadlines,
    ) -> None:
        self.image = image
        self.deadlines = deadlines
        self.cpus = image.cpus
        self.qemu = image.qemu
        self.boot_s = boot_s
        """Seconds of this host from the start of the emulator to the agent's first word."""
        self._lab, self._link, self._programs = lab, link, programs
        self._facts = facts

    @property
    def clock(self) -> LabClock:
        """The lab's clock."""
        return self._link.clock

    @property
    def trouble(self) -> LabError | None:
        """How the lab ended, if it ended too early."""
        return self._programs.trouble

    @property
    def facts(self) -> HostFacts:
        """Identity of the booted lab and of its QEMU, with the modules that are loaded now."""
        return self._facts

    async def load_modules(self, kernel: Kernel, *, apicv: bool) -> None:
        """Unload KVM's modules and load those of another arm; read the facts anew.

        Args:
            kernel: the lab's kernel, with modules that the lab holds.
            apicv: whether kvm_intel is loaded with APICv.

        Raises:
            LabError: a module can't be unloaded or loaded.
        """
        try:
            for name in reversed(_RELOADED):
                await self._unload(name.replace("-", "_"))
            for name in (name for name in _RELOADED if name in kernel.modules):
                path, options = module_path(kernel.modules[name]), module_options(name, apicv=apicv)
                await self._link.ask(b"I", 0, f"/{path}\0{options}".encode())
            self._facts = replace(self._facts, kvm_modules=await self._parameters())
        except (OSError, LinkError) as error:
            raise LabError(
                f"loading the modules of {kernel.version}, {kernel.variant}: {error}",
                self._lab.serial,
            ) from error

    async def _unload(self, module: str) -> None:
        for _ in range(_UNLOAD_ATTEMPTS):
            try:
                await self._link.ask(b"U", 0, module.encode())
                return
            except BlockingIOError:
                await self.clock.sleep(_UNLOAD_RETRY_NS)
            except FileNotFoundError:  # built in, or not loaded
                return
        await self._link.ask(b"U", 0, module.encode())

    async def _parameters(self) -> dict[str, dict[str, str]]:
        """Return the parameters of KVM's modules as they are now."""
        found: dict[str, dict[str, str]] = {}
        for module in (name.replace("-", "_") for name in MODULES):
            folder = f"/sys/module/{module}/parameters"
            try:
                names = (await self._link.ask(b"D", 0, folder.encode())).decode().split()
            except OSError:  # the module has none
                continue
            for name in sorted(name for name in names if not name.startswith(".")):
                with contextlib.suppress(OSError):  # some can't be read
                    value = (await self.read_file(f"{folder}/{name}")).strip()
                    if value:
                        found.setdefault(module, {})[name] = value
        return found

    def forget(self, number: int) -> None:
        """Note that a program has ended."""
        self._programs.running.pop(number, None)

    async def start_qemu(
        self, args: Sequence[str], files: Mapping[str, bytes], *, consoles: int = 1
    ) -> LabQemu:
        """Start QEMU in the lab; see `Host.start_qemu`."""
        number = self._free_number()
        qemu = self._programs.running[number] = LabQemu(self, self._link, number)
        try:
            await qemu.start(args, files)
        except BaseException:
            await qemu.kill()
            for stream in (qemu.qmp, *qemu.consoles):
                stream.close()
            raise
        return qemu

    def _free_number(self) -> int:
        number = next((n for n in range(QEMUS) if n not in self._programs.running), None)
        if number is None:
            raise QemuStartError(f"it runs {QEMUS} already", doing=STARTING)
        return number

    async def empty_disk(self) -> bytes:
        """Return an empty qcow2 image, which the lab holds already."""
        if self.image.packaged is None:
            raise QemuStartError("it was booted without one", doing=STARTING)
        return self.image.packaged.disk

    async def pressure_percent(self) -> float | None:
        """Return None: only this host can stall a lab, and then the lab's clock stops, too."""
        return None

    async def read_file(self, path: str) -> str:
        """Return a text file of the lab.

        Raises:
            OSError: it can't be read.
            LinkError: the agent does not answer.
        """
        return (await self._link.ask(b"R", 0, path.encode())).decode()

    async def run(self, command: Sequence[str]) -> AsyncGenerator[str, None]:
        """Run a program of the lab, and yield each line that it prints.

        Raises:
            LabError: the program failed, or the lab ended.
        """
        number = self._free_number()
        program = self._programs.running[number] = LabQemu(self, self._link, number)
        try:
            await program.run(command)
            async for line in program.output_lines():
                yield line
            end = await program.exited()
            if end.code != 0:
                raise LabError(f"{command[0]} ended with {end}", self._lab.serial)
        finally:
            await program.kill()
            for stream in (program.qmp, *program.consoles):
                stream.close()


def lab_facts(host: HostFacts, lab: Lab, cpus: int, qemu: QemuFacts | None = None) -> HostFacts:
    """Return the facts of a lab: those of this host, with what is emulated in their place."""
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
        clocksource=None,  # all of its CPUs read the same TSC, which is emulated
    )
