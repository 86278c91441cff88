"""The files of a lab, and the CD from which it boots."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from orchestrator.cache.program import shipped, static_program
from orchestrator.guest.protocol import Guest
from orchestrator.guest.registry import GUESTS
from orchestrator.host.facts import QemuFacts
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.emulator.media import boot_cd, initrd
from orchestrator.lab.host.qemu import PATH, PackagedQemu
from orchestrator.lab.kernel.kernel import Kernel
from orchestrator.packages.kernel_store import MODULES

#: The agent's serial line, in the lab.
AGENT_TTY = "/dev/ttyS1"


#: Folder of the files that a lab holds for its QEMUs, by their SHA-256.
FILES = "files"


#: Memory of a lab, in MiB: for the RAM disk with QEMU and its libraries, and for guests.
MEMORY_MIB = 1024


def module_path(content: bytes) -> str:
    """Return where a lab has a module, without the first slash."""
    return f"modules/{hashlib.sha256(content).hexdigest()[:16]}.ko"


def module_options(name: str, *, apicv: bool) -> str:
    """Return the options with which a module is loaded."""
    return f"enable_apicv={int(apicv)}" if name == "kvm-intel" else ""


def boot_options(kernel: Kernel, *, apicv: bool) -> str:
    """Return what the command line of a kernel needs, beside what all labs have."""
    return f"kvm_intel.{module_options('kvm-intel', apicv=apicv)}" if kernel.kvm_built_in else ""


def lab_files(
    kernel: Kernel, job: str, *, apicv: bool, others: Iterable[Kernel] = ()
) -> dict[str, bytes]:
    """Return the files of a lab that loads a kernel's modules and then runs one job.

    Args:
        kernel: the kernel, with the modules that are loaded at boot.
        job: the command line of the job.
        apicv: whether kvm_intel is loaded with APICv.
        others: the same kernel with other modules, which the lab holds to load them later.
    """
    named = [(name, kernel.modules[name]) for name in MODULES if name in kernel.modules]
    load = [
        f"{name} /{module_path(data)} {module_options(name, apicv=apicv)}".rstrip()
        for name, data in named
    ]
    return {
        "init": shipped("init").read_bytes(),
        "job": job.encode(),
        "modules/load": "".join(f"{line}\n" for line in load).encode(),
        **{module_path(data): data for each in (kernel, *others) for data in each.modules.values()},
    }


@dataclass(frozen=True, slots=True)
class LabImage:
    """A lab whose agent runs programs for us: QEMU, or others."""

    bochs: Bochs
    kernel: Kernel
    """The kernel, with the modules that are loaded at boot."""
    packaged: PackagedQemu | None = None
    """The QEMU that runs in the lab, if one does."""
    apicv: bool = True
    cpus: int = 1
    others: tuple[Kernel, ...] = ()
    """The same kernel with other modules, which the lab can load later."""
    programs: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    """Further programs that the lab holds, by path."""
    guests: tuple[Guest, ...] = ()
    """The guests with a kernel of their own that will run in the lab."""
    memory_mib: int = MEMORY_MIB
    qemu: str = PATH
    held: dict[str, bytes] = field(init=False)
    """Files that every QEMU needs, by SHA-256."""

    def __post_init__(self) -> None:
        """Note the files that every QEMU needs."""
        contents: list[bytes] = []
        if self.packaged:
            guests = [guest for guest in GUESTS if not guest.kernel_tick_ns]
            contents = [
                content for guest in (*guests, *self.guests) for content in guest.files.values()
            ]
            contents.append(self.packaged.disk)
        held = {hashlib.sha256(content).hexdigest(): content for content in contents}
        object.__setattr__(self, "held", held)

    @property
    def qemu_facts(self) -> QemuFacts | None:
        """Facts of the QEMU that runs in the lab, if one does."""
        return self.packaged.facts if self.packaged else None

    def cd(self) -> bytes:
        """Return the CD.

        Raises:
            PackagesError, NoToolsError: what the CD is made of can't be had here.
        """
        job = f"/bin/agent {AGENT_TTY}"
        files = {
            **lab_files(self.kernel, job, apicv=self.apicv, others=self.others),
            "bin/agent": static_program(shipped("agent.c")).read_bytes(),
            **(self.packaged.files if self.packaged else {}),
            **self.programs,
            **{f"{FILES}/{digest}": content for digest, content in self.held.items()},
        }
        options = boot_options(self.kernel, apicv=self.apicv)
        return boot_cd(self.kernel.image, initrd(files), options=options)
