"""Booted labs, each of which serves one arm after another of its kernel.

To boot a lab takes some seconds, to load other modules in it about one. A lab that no arm will
need any more is ended at once: an emulator takes a CPU of this host even while its lab idles.
"""

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, TracebackType

from orchestrator.clock import DEFAULT_DEADLINES, Deadlines
from orchestrator.errors import InfraError, UnfitError
from orchestrator.findings.lab import LabIdentity
from orchestrator.guest.protocol import Guest
from orchestrator.host.facts import HostFacts
from orchestrator.journal.console_log import ConsoleLog, ConsoleLogs
from orchestrator.journal.out_folder import OutFolder
from orchestrator.lab.arms import Arm
from orchestrator.lab.claims import ClaimError, check_claims
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.emulator.boot import LabError
from orchestrator.lab.host.boot import boot
from orchestrator.lab.host.host import LabHost
from orchestrator.lab.host.image import LabImage
from orchestrator.lab.host.qemu import PackagedQemu
from orchestrator.lab.kernel.kernel import Kernel
from orchestrator.lab.kernel.variants import COUNTERS, Variant, modified

#: Name of the folder with the logs of the labs' serial ports, in the output folder.
SERIAL = "serial"


@dataclass(frozen=True, slots=True)
class LabParts:
    """The parts of a lab, other than its kernel."""

    bochs: Bochs
    packaged: PackagedQemu | None = None
    """The QEMU that runs in the lab, if it needs one."""
    programs: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    """Further programs, by path."""
    cpus: int = 1
    """CPUs of the emulated machine."""
    guests: tuple[Guest, ...] = ()
    """The guests with a kernel of their own that will run in it."""
    deadlines: Deadlines = DEFAULT_DEADLINES


@dataclass(slots=True)
class _Booted:
    """A booted lab, which ends when `ending` is closed."""

    host: LabHost
    arm: Arm
    """The arm for which it was booted."""
    ending: contextlib.AsyncExitStack


class Labs:
    """The labs of a run. Whatever ends the context ends all of them."""

    def __init__(
        self,
        parts: LabParts,
        arms: Sequence[Arm],
        here: HostFacts,
        out: Path | None,
        *,
        parallel: int,
        say: Callable[[str], None] = lambda text: None,
        shared_out: bool = False,
    ) -> None:
        """Prepare; labs are booted when arms need them.

        Args:
            parts: what the labs are made of.
            arms: the arms, each as often as a host will be asked for it.
            here: facts of this host.
            out: a folder that gets the logs of the labs' serial ports, if any does.
            parallel: labs that run at a time.
            say: is called with each step that takes long.
            shared_out: whether `out` may be a folder that other users can write to.
        """
        self._parts, self._here = parts, here
        self._out, self._shared_out = out, shared_out
        self._serial: ConsoleLogs | None = None
        self._parallel, self._say = parallel, say
        self._arms = {arm.name: arm for arm in arms}.values()
        self._left = collections.Counter(arm.kernel.name for arm in arms)
        self._built: dict[str, Kernel] = {}
        self._tried: set[str] = set()
        self._building = asyncio.Lock()
        self._idle: list[_Booted] = []
        self._running = 0
        self._logs = 0
        self._closing = contextlib.ExitStack()

    async def __aenter__(self) -> "Labs":
        if self._out:
            folder = self._closing.enter_context(OutFolder(self._out, shared=self._shared_out))
            self._serial = ConsoleLogs(folder, SERIAL)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._closing:
            for lab in list(self._idle):
                await self._end(lab)

    @contextlib.asynccontextmanager
    async def host(self, arm: Arm) -> AsyncIterator[LabHost]:
        """Give a lab in which the modules of an arm are freshly loaded.

        Raises:
            LabError: the lab did not come up, also not freshly booted if its modules did not
                load.
            ClaimError: another kernel has booted, or kvm_intel does not run with the arm's APICv
                setting.
            UnfitError: what the lab is made of can't be had here.
            VariantError: the kernel lacks the variant of this arm, or of one of its siblings.
        """
        self._left[arm.kernel.name] -= 1
        try:
            await self._build(arm)
            lab = await self._lab_for(arm)
            try:
                check_claims(arm, lab.host.facts)
                yield lab.host
            except BaseException:
                await self._end(lab)
                raise
            if lab.host.trouble:
                await self._end(lab)
            else:
                self._idle.append(lab)
        finally:
            for each in [lab for lab in self._idle if not self._left[lab.arm.kernel.name]]:
                await self._end(each)

    def edits(self, arm: Arm) -> tuple[str, ...]:
        """Return the edits with which an arm's modules were built, once they are."""
        built = self._built.get(arm.name)
        return built.edits if built else ()

    @property
    def emulator(self) -> str:
        """The emulator, and where it came from."""
        return self._parts.bochs.origin

    async def _build(self, arm: Arm) -> None:
        """Build the modules of an arm; its siblings' as well, for a lab holds them from its boot.

        A sibling that can't be built on this host fails when its own turn comes. A sibling that
        its kernel can't have ends the run at once, before any arm counts for minutes in vain.
        """
        async with self._building:
            await self._modules(arm)
            for other in self._arms:
                if other.kernel.name == arm.kernel.name and other.name not in self._tried:
                    with contextlib.suppress(UnfitError, InfraError):
                        await self._modules(other)

    async def _modules(self, arm: Arm) -> Kernel:
        """Return an arm's kernel with the modules that it runs with."""
        self._tried.add(arm.name)
        if arm.name not in self._built:
            if arm.variant is not Variant.UNTOUCHED:
                self._say(f"{arm.name}: building its modules")
            self._built[arm.name] = await modified(arm.kernel, arm.variant, every=arm.every)
        return self._built[arm.name]

    async def _lab_for(self, arm: Arm) -> _Booted:
        kernel = self._built[arm.name]
        idle = next((lab for lab in self._idle if _can_serve(lab.arm, arm)), None)
        if idle:
            self._idle.remove(idle)
            self._say(f"{arm.name}: loading its modules")
            try:
                await idle.host.load_modules(kernel, apicv=arm.apicv)
            except LabError as error:
                await self._end(idle)
                self._say(f"{arm.name}: its modules did not load: {error}")
                return await self._boot(arm, kernel)
            except BaseException:
                await self._end(idle)
                raise
            return idle
        if self._idle and self._running >= self._parallel:
            await self._end(self._idle[0])
        return await self._boot(arm, kernel)

    async def _boot(self, arm: Arm, kernel: Kernel) -> _Booted:
        self._say(f"{arm.name}: booting")
        others = tuple(
            self._built[other.name]
            for other in self._arms
            if other.kernel.name == arm.kernel.name and other.name in self._built
        )
        image = LabImage(
            self._parts.bochs, kernel, self._parts.packaged, arm.apicv, self._parts.cpus, others,
            self._parts.programs, self._parts.guests,
        )  # fmt: skip
        ending = contextlib.AsyncExitStack()
        self._running += 1
        try:
            log = self._log(arm)
            if log:
                ending.callback(log.close)
            host = await ending.enter_async_context(
                boot(image, self._here, log, self._parts.deadlines)
            )
        except BaseException:
            self._running -= 1
            await ending.aclose()
            raise
        return _Booted(host, arm, ending)

    def _log(self, arm: Arm) -> ConsoleLog | None:
        """Return the file for the serial port of a lab, if there is a folder for it."""
        if self._serial is None:
            return None
        title = arm.kernel.title.replace("/", "_")
        while True:
            self._logs += 1
            with contextlib.suppress(FileExistsError):  # it is not losttick's: leave it alone
                return self._serial.create(f"{self._logs}-{title}.log", buffered=False)

    async def _end(self, lab: _Booted) -> None:
        if lab in self._idle:
            self._idle.remove(lab)
        self._running -= 1
        await lab.ending.aclose()


def _can_serve(booted: Arm, arm: Arm) -> bool:
    """Return whether a lab that was booted for one arm can serve another one.

    A kernel with KVM built in has its APICv setting from its boot.
    """
    same = booted.kernel.name == arm.kernel.name
    return same and (not arm.kernel.kvm_built_in or booted.apicv is arm.apicv)


class ArmHost:
    """The host of one cell of a lab run, and what the journal records of it."""

    def __init__(self, labs: Labs, arm: Arm) -> None:
        """Prepare; `open` gives the host."""
        self._labs, self._arm = labs, arm
        self._boot_s: float | None = None
        self._counters: dict[str, int] = {}

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[LabHost]:
        """Give the host for as long as the cell runs; see `Labs.host`."""
        async with self._labs.host(self._arm) as host:
            self._boot_s = round(host.boot_s, 1)
            yield host
            if self._arm.variant is Variant.PARTIAL:
                for name in COUNTERS:
                    self._counters[name] = await self._counter(host, name)

    async def _counter(self, host: LabHost, name: str) -> int:
        said = (await host.read_file(f"/sys/module/kvm/parameters/{name}")).strip()
        if not said.isdecimal():
            raise ClaimError(f"{self._arm.name}: its module's parameter {name} is {said[:40]!r}")
        return int(said)

    def identity(self) -> LabIdentity:
        """Return what the host is made of, and what it has counted by now."""
        return self._arm.identity(
            self._labs.emulator, self._labs.edits(self._arm), self._boot_s, dict(self._counters)
        )
