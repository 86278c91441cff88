"""The arms of a lab run: kernels as they are, and beside them edits whose answer is known."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.findings.lab import LabIdentity
from orchestrator.host.facts import HostFacts
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.host.host import LabHost
from orchestrator.lab.host.image import LabImage
from orchestrator.lab.host.qemu import PackagedQemu
from orchestrator.lab.kernel.kernel import Kernel
from orchestrator.lab.kernel.variants import COUNTERS, Variant, has_wants_to_run, modified
from orchestrator.verdict.verdict import Verdict

#: What an edited arm must show, or the lab proves nothing.
_KNOWN = {Variant.BASE: Verdict.CLEAN, Variant.REVERT_FIX: Verdict.AFFECTED}


@dataclass(frozen=True, slots=True)
class Choice:
    """A kernel, an edit of its KVM modules, and whether APICv is on."""

    kernel: Kernel
    variant: Variant = Variant.UNTOUCHED
    apicv: bool = True

    @property
    def name(self) -> str:
        """Its name, unique in a run."""
        off = "" if self.apicv else "/no-apicv"
        return f"{self.kernel.version}/{self.variant}{off}"

    @property
    def known(self) -> Verdict | None:
        """The verdict that it must get; None where that is the question."""
        if self.variant is Variant.UNTOUCHED:
            return None
        return _KNOWN.get(self.variant) if self.apicv else Verdict.CLEAN

    def identity(
        self, emulator: str, boot_s: float | None = None, counters: dict[str, int] | None = None
    ) -> LabIdentity:
        """Return what a host of this kind is made of, as the journal has it.

        Args:
            emulator: where it came from.
            boot_s: from the emulator's start to the agent's first word.
            counters: what the edited module counted.
        """
        return LabIdentity(
            kernel=self.kernel.name,
            version=self.kernel.version,
            variant=self.variant,
            apicv=self.apicv,
            emulator=emulator,
            expected=self.known,
            boot_s=boot_s,
            counters=counters or {},
        )


def bug_and_fix(kernel: Kernel) -> list[Choice]:
    """Return the arms that show the bug and its fix side by side in one kernel.

    Raises:
        PackagesError: the kernel's source can't be had.
    """
    base = [Choice(kernel, Variant.BASE)] if has_wants_to_run(kernel) else []
    return [
        Choice(kernel),
        *base,
        Choice(kernel, Variant.REVERT_FIX),
        Choice(kernel, Variant.REVERT_FIX, apicv=False),
    ]


@dataclass(slots=True)
class Arm:
    """One arm, and what its lab said."""

    choice: Choice
    boot_s: float | None = None
    """From the start of the emulator to the agent's first word, by our clock."""
    emulator: str = ""
    """Where the emulator came from."""
    counters: dict[str, int] = field(default_factory=dict)
    """What the edit itself counted, where it counts."""

    @contextlib.asynccontextmanager
    async def host(
        self,
        bochs: Bochs,
        packaged: PackagedQemu,
        here: HostFacts,
        out: Path,
        *,
        cpus: int = 1,
        every: int = 1,
        say: Callable[[str], None] = lambda text: None,
    ) -> AsyncIterator[LabHost]:
        """Build what the arm needs, boot it, and end it with the context.

        Args:
            bochs: the emulator.
            packaged: the QEMU that runs in it.
            here: this machine's facts.
            out: folder for the log of the serial port.
            cpus: of the emulated machine.
            every: the variant `partial` loses the interrupt of 1 in `every` loads.
            say: hears what is done.

        Raises:
            LabError: the lab did not come up.
            UnfitError: what it is made of can't be had.
        """
        choice = self.choice
        self.emulator = bochs.origin
        bochs.check_fit_for(choice.kernel.release)
        if choice.variant is not Variant.UNTOUCHED or bochs.unedited:
            say(f"{choice.name}: building its modules")
        kernel = await modified(
            choice.kernel,
            choice.variant,
            realigned=bochs.unedited,
            every=every if choice.variant is Variant.PARTIAL else None,
        )
        say(f"{choice.name}: booting")
        image = LabImage(bochs, kernel, packaged, apicv=choice.apicv, cpus=cpus)
        log = out / "serial" / f"{choice.name.replace('/', '-')}.log"
        await asyncio.to_thread(log.parent.mkdir, exist_ok=True)
        with log.open("wb", buffering=0) as serial:
            async with LabHost(image, here, serial).booted() as host:
                self.boot_s = host.boot_s
                yield host
                if choice.variant is Variant.PARTIAL:
                    for name in COUNTERS:
                        path = f"/sys/module/kvm/parameters/{name}"
                        self.counters[name] = int(await host.read_file(path))

    def identity(self) -> LabIdentity:
        """Return what the arm's host is made of, and what it has counted by now."""
        return self.choice.identity(self.emulator, self.boot_s, dict(self.counters))
