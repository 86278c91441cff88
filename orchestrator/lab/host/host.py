"""A lab as a host: QEMU runs inside it, and is driven from outside over a serial line."""

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace

from orchestrator.clock import Deadlines
from orchestrator.errors import InfraError
from orchestrator.host.errors import QemuStartError
from orchestrator.host.facts import HostFacts
from orchestrator.lab.emulator.boot import Lab, LabError
from orchestrator.lab.host.clock import LabClock
from orchestrator.lab.host.frames import QEMUS, LinkError
from orchestrator.lab.host.image import LabImage, module_options, module_path
from orchestrator.lab.host.link import Link
from orchestrator.lab.host.process import STARTING, LabQemu
from orchestrator.lab.host.programs import Programs
from orchestrator.lab.kernel.kernel import Kernel
from orchestrator.packages.kernel_store import MODULES

#: KVM's modules that differ between the arms of one kernel, in the order in which they load.
_RELOADED = ("kvm", "kvm-intel")


#: How often to try to unload a module that a QEMU which has just ended still holds, and the
#: lab's time between two attempts.
_UNLOAD_ATTEMPTS, _UNLOAD_RETRY_NS = 50, 20_000_000


class LabHost:
    """A booted lab, on which QEMU can be started. `boot.boot` makes it."""

    #: All that a guest prints comes over one line, in its order.
    max_consoles = 1

    #: On an emulated CPU, a UART's system calls take longer than everything else.
    slow_uart = True

    def __init__(
        self,
        image: LabImage,
        lab: Lab,
        link: Link,
        programs: Programs,
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
                transient=isinstance(error, LinkError) and error.transient,
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
                listed = await self._link.ask(b"D", 0, folder.encode())
            except OSError:  # the module has none
                continue
            names = listed.decode(errors="replace").split()
            for name in sorted(name for name in names if not name.startswith(".")):
                with contextlib.suppress(OSError):  # some can't be read
                    value = (await self.read_file(f"{folder}/{name}")).strip()
                    if value:
                        found.setdefault(module, {})[name] = value
        return found

    def excuse(self) -> str:
        """Return why the lab has been silent since its last sign of life; see `Pace.excuse`."""
        return self._lab.excuse()

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
        return (await self._link.ask(b"R", 0, path.encode())).decode(errors="replace")

    async def run(self, command: Sequence[str]) -> AsyncGenerator[str, None]:
        """Run a program of the lab, and yield each line that it prints.

        Whoever reads the lines limits the wait for them: only the reader knows which are news.

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
        except InfraError as error:
            if self.trouble and error is not self.trouble:  # it says why the program failed
                raise self.trouble from error
            raise
        finally:
            await program.kill()
            for stream in (program.qmp, *program.consoles):
                stream.close()
