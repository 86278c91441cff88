"""What a lab is made of, and the CD that it boots from."""

import hashlib
from dataclasses import dataclass, field

from orchestrator.cache.program import shipped, static_program
from orchestrator.guest.registry import GUESTS
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.emulator.media import boot_cd, initrd
from orchestrator.lab.host.qemu import PATH, PackagedQemu
from orchestrator.lab.kernel.kernel import Kernel

#: The agent's serial line, in the lab.
AGENT_TTY = "/dev/ttyS1"


#: Folder of the files that a lab holds for its QEMUs, by their SHA-256.
FILES = "files"


#: With QEMU, its libraries and its guest in RAM.
MEMORY_MIB = 1024


def lab_files(kernel: Kernel, job: str, *, apicv: bool) -> dict[str, bytes]:
    """Return the files of a lab that runs one job after its modules are loaded."""
    return {
        "init": shipped("init").read_bytes(),
        "job": job.encode(),
        "modules/options": f"enable_apicv={int(apicv)}".encode(),
        **{f"modules/{name}.ko": data for name, data in kernel.modules.items()},
    }


@dataclass(frozen=True, slots=True)
class LabImage:
    """A lab that runs QEMU."""

    bochs: Bochs
    kernel: Kernel
    packaged: PackagedQemu
    apicv: bool = True
    cpus: int = 1
    memory_mib: int = MEMORY_MIB
    qemu: str = PATH
    held: dict[str, bytes] = field(init=False)
    """Files that every QEMU needs, by SHA-256."""

    def __post_init__(self) -> None:
        """Note what is held."""
        programs = [content for guest in GUESTS for content in guest.files.values()]
        contents = (*programs, self.packaged.disk)
        held = {hashlib.sha256(content).hexdigest(): content for content in contents}
        object.__setattr__(self, "held", held)

    def cd(self, token: str) -> bytes:
        """Return the CD; its agent says `token`.

        Raises:
            PackagesError, NoCompilerError: what it is made of can't be had.
        """
        job = f"/bin/agent {AGENT_TTY} {token}"
        files = {
            **lab_files(self.kernel, job, apicv=self.apicv),
            "bin/agent": static_program(shipped("agent.c")).read_bytes(),
            **self.packaged.files,
            **{f"{FILES}/{digest}": content for digest, content in self.held.items()},
        }
        return boot_cd(self.kernel.image, initrd(files, compress=False))
