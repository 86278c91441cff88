"""Bochs: the emulated Intel CPU with APICv on which a lab runs.

Bochs 3.0 has VMX with virtual-interrupt delivery and posted interrupts; it wants the
posted-interrupt descriptor aligned to a page, where hardware wants 64 bytes (Intel
SDM, volume 3, "VM-Execution Control Fields"). Built with that one check relaxed, it
runs untouched kernels.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InfraError, UnfitError
from orchestrator.lab.packages import cache_folder, locked, unpack
from orchestrator.lab.sources import source_archive

#: The Debian suite that has Bochs 3.0. (3.1 miscomputes a signed division, and Linux
#: dies in it; 2.7 has no posted interrupts.)
SUITE = "trixie"

CONFIGURE = (
    "--with-nogui", "--enable-x86-64", "--enable-cpu-level=6", "--enable-vmx=2",
    "--enable-evex", "--enable-avx", "--enable-all-optimizations",
    "--enable-repeat-speedups", "--enable-fast-function-calls",
    "--enable-handlers-chaining", "--enable-pci", "--enable-cdrom", "--enable-memtype",
    "--enable-a20-pin", "--disable-docbook",
    # Its once-a-second speed message can deadlock against its own log.
    "--disable-show-ips",
)  # fmt: skip

#: The check on the descriptor's address, and what it becomes.
ALIGNMENT = (
    "if (! IsValidPageAlignedPhyAddr(vm->pid_addr)) {",
    "if (! IsValidPhyAddr(vm->pid_addr) || (vm->pid_addr & 63)) {",
)

#: Files that a build compiles, for the progress bar.
COMPILED = 472


class BochsBuildError(InfraError):
    """Bochs could not be built."""


class NoBuildToolsError(UnfitError):
    """What Bochs is built with is missing."""


@dataclass(frozen=True, slots=True)
class Bochs:
    """A built Bochs and its firmware."""

    program: Path
    bios: Path
    vga_bios: Path


def bochs(
    progress: Callable[[int, int], None] = lambda done, total: None, cache: Path | None = None
) -> Bochs:
    """Return a Bochs, built from Debian's source the first time (about two minutes).

    Raises:
        PackagesError: its source or firmware can't be had.
        NoBuildToolsError: no compiler or make.
        BochsBuildError: the build failed.
    """
    place = (cache or cache_folder()) / "bochs"
    key = hashlib.sha256(repr((SUITE, CONFIGURE, ALIGNMENT)).encode()).hexdigest()[:16]
    program = place / key
    if not program.exists():
        place.mkdir(parents=True, exist_ok=True)
        with locked(place / "lock"):
            if not program.exists():
                _build(place, program, progress)
    firmware = unpack(SUITE, ["bochsbios", "vgabios"], cache).root
    return Bochs(
        program,
        firmware / "usr/share/bochs/BIOS-bochs-latest",
        firmware / "usr/share/vgabios/vgabios.bin",
    )


def _build(place: Path, program: Path, progress: Callable[[int, int], None]) -> None:
    missing = [tool for tool in ("g++", "make", "xz", "tar") if shutil.which(tool) is None]
    if missing:
        raise NoBuildToolsError(
            f"building Bochs: there is no {', '.join(missing)}. "
            "Install them (Debian: apt-get install g++ make xz-utils)."
        )
    with tempfile.TemporaryDirectory(dir=place) as folder:
        tree = Path(folder) / "tree"
        tree.mkdir()
        archive = source_archive(SUITE, "bochs", Path(folder))
        _step(["tar", "-xf", str(archive), "-C", str(tree), "--strip-components=1"], tree)
        relax_alignment(tree / "cpu" / "vmx.cc")
        _step(["./configure", *CONFIGURE], tree)
        _compile(tree, progress)
        (tree / "bochs").replace(program)


def relax_alignment(source: Path) -> None:
    """Edit the one check.

    Raises:
        BochsBuildError: it is not there just once.
    """
    text = source.read_text()
    if text.count(ALIGNMENT[0]) != 1:
        raise BochsBuildError(
            f"relaxing the alignment of the posted-interrupt descriptor: {source.name} has "
            f"{text.count(ALIGNMENT[0])} such checks, not 1. This is not the Bochs 3.0 it is for."
        )
    source.write_text(text.replace(*ALIGNMENT))


def _step(command: list[str], tree: Path) -> None:
    done = subprocess.run(
        command, cwd=tree, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise BochsBuildError(f"building Bochs: {command[0]}: {'; '.join(words[-3:])}")


def _compile(tree: Path, progress: Callable[[int, int], None]) -> None:
    with subprocess.Popen(
        ["make", f"-j{os.cpu_count() or 1}"], cwd=tree, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    ) as make:  # fmt: skip
        assert make.stdout is not None
        compiled, tail = 0, ""
        for line in make.stdout:
            tail = line.strip() or tail
            if " -c " in line:
                compiled += 1
                progress(min(compiled, COMPILED), COMPILED)
    if make.returncode != 0:
        raise BochsBuildError(f"building Bochs: make: {tail}")
