"""Bochs: the emulated Intel CPU with APICv on which a lab runs.

Bochs 3.0 has VMX with virtual-interrupt delivery and posted interrupts; it wants the
posted-interrupt descriptor aligned to a page, where hardware wants 64 bytes (Intel
SDM, volume 3, "VM-Execution Control Fields"). Built with that one check relaxed, it
runs untouched kernels.
"""

import asyncio
import collections
import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InfraError, UnfitError
from orchestrator.lab.packages import cache_folder, unpack, workshop
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


async def bochs(
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
        with workshop(place) as work:
            if not program.exists():
                await _build(work, program, progress)
    firmware = (await asyncio.to_thread(unpack, SUITE, ["bochsbios", "vgabios"], cache)).root
    return Bochs(
        program,
        firmware / "usr/share/bochs/BIOS-bochs-latest",
        firmware / "usr/share/vgabios/vgabios.bin",
    )


async def _build(work: Path, program: Path, progress: Callable[[int, int], None]) -> None:
    missing = [tool for tool in ("g++", "make", "xz", "tar") if shutil.which(tool) is None]
    if missing:
        raise NoBuildToolsError(
            f"building Bochs: there is no {', '.join(missing)}. "
            "Install them (Debian: apt-get install g++ make xz-utils)."
        )
    tree = work / "tree"
    tree.mkdir()
    archive = await asyncio.to_thread(source_archive, SUITE, "bochs", work)
    await _step(["tar", "-xf", str(archive), "--strip-components=1"], tree)
    relax_alignment(tree / "cpu" / "vmx.cc")
    await _step(["./configure", *CONFIGURE], tree)
    compiled = 0

    def count(line: str) -> None:
        nonlocal compiled
        if " -c " in line:
            compiled += 1
            progress(min(compiled, COMPILED), COMPILED)

    await _step(["make", f"-j{os.cpu_count() or 1}"], tree, count)
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


async def _step(
    command: list[str], tree: Path, on_line: Callable[[str], None] = lambda line: None
) -> None:
    """Run one step of the build; it ends with us, however we end."""
    process = await asyncio.create_subprocess_exec(
        # Should we be killed, so is it (and make stops after the files at hand).
        "setpriv", "--pdeathsig", "KILL", *command,
        cwd=tree, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    tail: collections.deque[str] = collections.deque(maxlen=3)
    try:
        async for line in process.stdout:
            text = line.decode(errors="replace").strip()
            on_line(text)
            tail.append(text)
        if await process.wait() != 0:
            raise BochsBuildError(f"building Bochs: {command[0]}: {'; '.join(tail)}")
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
