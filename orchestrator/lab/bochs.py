"""Bochs: the emulated Intel CPU with APICv on which a lab runs.

Bochs 3.0 has VMX with virtual-interrupt delivery and posted interrupts; it wants the
posted-interrupt descriptor aligned to a page, where hardware wants 64 bytes (Intel
SDM, volume 3, "VM-Execution Control Fields"). Built with that check relaxed, it runs
untouched kernels. And it forgets which virtual interrupt it was about to deliver if the
delivery itself needs a VM exit (a stack page that the EPT does not map yet): KVM then
delivers vector 0 instead, as before Linux 6 it did at the first tick after a load. It is
built to note the vector.
"""

import asyncio
import collections
import hashlib
import logging
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import InfraError, UnfitError
from orchestrator.lab.cache import Record, Store, cache_folder, in_words, workshop
from orchestrator.lab.packages import unpack
from orchestrator.lab.sources import source_archive

_log = logging.getLogger(__name__)

#: The Debian suite that has Bochs 3.0. (3.1 miscomputes a signed division, and Linux
#: dies in it; 2.7 has no posted interrupts.)
SUITE = "trixie"
VERSION = "3.0"

#: Of bochs_3.0+dfsg.orig.tar.xz, as Debian's source index has it.
SOURCE_SHA256 = "78f6c73d4a6472d5130a87ab9dc306d02c7c71ed8e25b3a8ef642e2a7acd282b"

PROGRAM = "bochs"
FIRMWARE = ("bochsbios", "vgabios")
BIOS = "usr/share/bochs/BIOS-bochs-latest"
VGA_BIOS = "usr/share/vgabios/vgabios.bin"

CONFIGURE = (
    "--with-nogui", "--enable-x86-64", "--enable-cpu-level=6", "--enable-vmx=2",
    "--enable-evex", "--enable-avx", "--enable-all-optimizations",
    "--enable-repeat-speedups", "--enable-fast-function-calls",
    "--enable-handlers-chaining", "--enable-pci", "--enable-cdrom", "--enable-memtype",
    "--enable-a20-pin", "--disable-docbook",
    # Its once-a-second speed message can deadlock against its own log.
    "--disable-show-ips",
    # No debugging information: a quarter of the size.
    "CFLAGS=-O2", "CXXFLAGS=-O2", "LDFLAGS=-s",
)  # fmt: skip

#: Files that a build compiles, for the progress bar.
COMPILED = 472


class BochsBuildError(InfraError):
    """Bochs could not be built."""


class NoBuildToolsError(UnfitError):
    """What Bochs is built with is missing."""


@dataclass(frozen=True, slots=True)
class SourceEdit:
    """One edit of Bochs's source: `old`, which is in `file` just once, becomes `new`."""

    what: str
    file: str
    old: str
    new: str

    def apply(self, tree: Path) -> None:
        """Edit the source tree.

        Raises:
            BochsBuildError: the place is not there just once.
        """
        source = tree / self.file
        text = source.read_text()
        if (found := text.count(self.old)) != 1:
            raise BochsBuildError(
                f"{self.what}: {self.file} has {found} such places, not 1. "
                f"This is not the Bochs {VERSION} it is for."
            )
        source.write_text(text.replace(self.old, self.new))


EDITS = (
    SourceEdit(
        "relaxing the alignment of the posted-interrupt descriptor",
        "cpu/vmx.cc",
        "if (! IsValidPageAlignedPhyAddr(vm->pid_addr)) {",
        "if (! IsValidPhyAddr(vm->pid_addr) || (vm->pid_addr & 63)) {",
    ),
    SourceEdit(
        "noting the virtual interrupt that is delivered (IDT-vectoring information)",
        "cpu/vapic.cc",
        "    interrupt(vector, BX_EXTERNAL_INTERRUPT, 0, 0);\n",
        "    vm->idt_vector_info = vector | (BX_EXTERNAL_INTERRUPT << 8);\n"
        "    vm->idt_vector_error_code = 0;\n"
        "    interrupt(vector, BX_EXTERNAL_INTERRUPT, 0, 0);\n",
    ),
)


@dataclass(frozen=True, slots=True)
class Bochs:
    """A Bochs that can be run, and its firmware."""

    command: tuple[str, ...]
    """Its own arguments are added to it."""
    bios: Path
    vga_bios: Path
    origin: str
    """Which it is, for the output."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What it needs besides ours."""
    unedited: bool = False
    """It is without `EDITS`: kvm_intel must be built with the descriptor at the start of a
    page."""
    smp: bool = False
    """It can emulate more than one CPU."""
    display: str = "nogui"
    """The display_library with which it runs unseen."""

    @property
    def program(self) -> Path:
        """The program itself, which is run by `command`."""
        return Path(self.command[-1])

    def check_fit_for(self, release: str) -> None:
        """Refuse a kernel that this one would show a bug of its own.

        Args:
            release: as `uname -r` says it.

        Raises:
            UnfitError: trials in that kernel would say nothing of it.
        """
        if self.unedited and int(release.split(".")[0]) < 6:
            raise UnfitError(
                f"{self.origin}, delivers wrong interrupts to guests of kernels before 6, as "
                f"{release} is. Install a compiler (Debian: apt-get install g++ make xz-utils): "
                "then losttick builds a Bochs that does not."
            )


async def bochs(
    progress: Callable[[int, int], None] = lambda done, total: None,
    cache: Path | None = None,
    *,
    smp: bool = False,
) -> Bochs:
    """Return a Bochs, built from Debian's source the first time (about two minutes).

    Args:
        progress: hears how many of how many files are compiled.
        cache: where to keep it; losttick's cache folder by default.
        smp: whether it must emulate more than one CPU; that is another build.

    Raises:
        PackagesError: its source or firmware can't be had.
        NoBuildToolsError: no compiler or make.
        BochsBuildError: the build failed.
    """
    place = (cache or cache_folder()) / "bochs"
    options = (*CONFIGURE, "--enable-smp") if smp else CONFIGURE
    key = hashlib.sha256(repr((SOURCE_SHA256, options, EDITS)).encode()).hexdigest()[:16]
    built = _built(place, key)
    if built is None:
        with workshop(place) as work:
            built = _built(place, key)  # by another, while we waited
            if built is None:
                program = await _build(work, options, progress, cache)
                what = "Bochs with several CPUs" if smp else "Bochs"
                record = Record(what, VERSION, time.time(), {"configure": options})
                built = Store(place).add(key, program.parent, record).content / program.name
    firmware = (await asyncio.to_thread(unpack, SUITE, FIRMWARE, cache)).root
    return Bochs(
        (str(built),),
        firmware / BIOS,
        firmware / VGA_BIOS,
        f"Bochs {VERSION}, built from Debian's source with two edits",
        smp=smp,
    )


def _built(place: Path, key: str) -> Path | None:
    entry = Store(place).find(key)
    if entry and (damage := entry.damage()):
        _log.warning("Bochs is damaged in %s (%s): building it again",
                     entry.folder, in_words(damage))  # fmt: skip
        return None
    return entry.content / PROGRAM if entry else None


def debian_bochs(cache: Path | None = None) -> Bochs:
    """Return Debian's own Bochs, run without installing it: nothing need be built for it.

    Its display `term` draws on a terminal that it makes itself, and nobody sees it. Its
    serial port must not write to standard output. The command makes files in the folder
    that it is run in.

    Raises:
        PackagesError: it can't be had.
    """
    tree = unpack(SUITE, ("bochs", "bochs-term", "ncurses-base", *FIRMWARE), cache)
    program, prefix = tree.command("usr/bin/bochs-bin")
    # A long path to its plugins overflows a buffer of its: the link is short, wherever the
    # cache is. Its debugger waits for a word first: continue.
    start = 'ln -s "$0" tree && echo c >rc && exec "$@" -rc rc >/dev/null'
    terminals = (tree.root / place / "terminfo" for place in ("usr/share", "usr/lib", "lib"))
    return Bochs(
        ("/bin/sh", "-c", start, str(tree.root), *prefix, program),
        tree.root / BIOS,
        tree.root / VGA_BIOS,
        f"Debian's own Bochs {VERSION}, which needs realigned modules",
        {
            "LTDL_LIBRARY_PATH": "tree/usr/lib/x86_64-linux-gnu/bochs/plugins",
            "BXSHARE": str(tree.root / "usr/share/bochs"),
            "TERM": "dumb",
            "TERMINFO_DIRS": ":".join(map(str, terminals)),
        },
        unedited=True,
        smp=True,
        display="term",
    )


async def _build(
    work: Path,
    options: Sequence[str],
    progress: Callable[[int, int], None],
    cache: Path | None,
) -> Path:
    missing = [tool for tool in ("g++", "make", "xz", "tar") if shutil.which(tool) is None]
    if missing:
        raise NoBuildToolsError(
            f"building Bochs: there is no {', '.join(missing)}. "
            "Install them (Debian: apt-get install g++ make xz-utils)."
        )
    tree = work / "tree"
    tree.mkdir()
    archive = await asyncio.to_thread(
        source_archive, SUITE, "bochs", work, cache=cache, sha256=SOURCE_SHA256
    )
    await _step(["tar", "-xf", str(archive), "--strip-components=1"], tree)
    for edit in EDITS:
        edit.apply(tree)
    await _step(["./configure", *options], tree)
    compiled = 0

    def count(line: str) -> None:
        nonlocal compiled
        if " -c " in line:
            compiled += 1
            progress(min(compiled, COMPILED), COMPILED)

    await _step(["make", f"-j{os.cpu_count() or 1}"], tree, count)
    alone = work / "built" / PROGRAM
    alone.parent.mkdir()
    return (tree / PROGRAM).rename(alone)


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
