"""The QEMU that runs inside a lab: always the same version, whatever QEMU this host has."""

import re
from dataclasses import dataclass
from pathlib import Path

from orchestrator.clock import DEFAULT_DEADLINES, LocalClock
from orchestrator.host.empty_disk import make_empty_disk
from orchestrator.host.facts import QemuFacts
from orchestrator.host.local_qemu import LocalBinary
from orchestrator.host.qemu_binary import read_qemu_facts
from orchestrator.packages.trees import unpack
from orchestrator.process.background import in_thread
from orchestrator.process.tool import run_tool

#: The suite with QEMU 7.2, with whose `info lapic` and snapshots the lab was tried.
SUITE = "bookworm"


PACKAGES = ("qemu-system-x86", "qemu-utils")


#: ROMs of QEMU that a lab holds. The last two boot a guest's kernel: a BIOS, and the option ROM
#: that loads the kernel.
ROMS = ("kvmvapic.bin", "bios-256k.bin", "linuxboot_dma.bin")


#: Path of QEMU in a lab.
PATH = "/usr/bin/qemu-system-x86_64"


#: The folder in which Debian's dynamic loader looks first.
_LIBRARIES = "lib/x86_64-linux-gnu"


@dataclass(frozen=True, slots=True)
class PackagedQemu:
    """A QEMU, with its libraries and ROMs."""

    facts: QemuFacts
    files: dict[str, bytes]
    """Content by path in the lab."""
    disk: bytes
    """An empty qcow2 image."""


async def packaged_qemu(cache: Path | None = None) -> PackagedQemu:
    """Return the lab's QEMU, asked here what it is: it is the same binary.

    Raises:
        PackagesError: it can't be had.
        QemuStartError: it does not run.
    """
    unpacked = await in_thread(unpack, SUITE, PACKAGES, cache)
    program, prefix = unpacked.command(PATH.lstrip("/"))
    modules = str(unpacked.root / "usr" / _LIBRARIES / "qemu")
    binary = LocalBinary(program, tuple(prefix), {"QEMU_MODULE_DIR": modules})
    facts = await read_qemu_facts(binary, LocalClock(), DEFAULT_DEADLINES)
    files = await in_thread(_files, unpacked.root, program, prefix)
    tool, prefix = unpacked.command("usr/bin/qemu-img")
    return PackagedQemu(facts, files, await in_thread(make_empty_disk, [*prefix, tool]))


def _files(root: Path, program: str, prefix: list[str]) -> dict[str, bytes]:
    listed = run_tool([*prefix, "--list", program], "asking for the libraries of QEMU")
    files = {
        PATH.lstrip("/"): Path(program).read_bytes(),
        "lib64/ld-linux-x86-64.so.2": Path(prefix[0]).read_bytes(),
    }
    for name, path in re.findall(r"^\s*(\S+) => (\S+)", listed, re.M):
        files[f"{_LIBRARIES}/{Path(name).name}"] = Path(path).read_bytes()
    for name in ROMS:
        for rom in root.glob(f"usr/share/*/{name}"):
            files[str(rom.relative_to(root))] = rom.read_bytes()
    return files
