"""Bochs: the emulated Intel CPU with APICv on which a lab runs.

Bochs 3.0 has VMX with virtual-interrupt delivery and posted interrupts. It requires the
posted-interrupt descriptor to be aligned to a page; hardware requires 64 bytes (Intel SDM,
volume 3, "VM-Execution Control Fields"). losttick builds Bochs with that check relaxed, so that
untouched kernels run.

Bochs also forgets which virtual interrupt it was about to deliver if the delivery itself needs a
VM exit, because the EPT does not map the stack page yet. KVM then delivers vector 0 instead;
with kernels before 6 this happens at the first tick after a load. losttick builds Bochs so that
it notes the vector.

And Bochs makes up an interrupt with vector 0xff if a notification finds nothing posted and
nothing pending: it keeps the answer "none", -1, in 8 bits. Kernels such as 5.10 send a
notification to the CPU on which they run themselves, and can have delivered the interrupt by
the time it arrives. If the guest ends the tick while 0xff is in service, it ends 0xff instead,
and the tick's vector stays in service for good. losttick builds Bochs so that nothing is delivered
then.

Finally, Bochs masks interrupts of the host in a guest that it enters with interrupts off, although
"external-interrupt exiting" makes them end such a guest. QEMU could not stop that guest, nor could
the host run another vCPU on that CPU. losttick builds Bochs so that they end it.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.cache.store import EntryInfo, Store, in_words
from orchestrator.cache.workshop import cache_folder, workshop
from orchestrator.errors import UnfitError
from orchestrator.lab.emulator.build import (
    CONFIGURE,
    EDITS,
    FIRMWARE,
    PROGRAM,
    SOURCE_SHA256,
    SUITE,
    VERSION,
    NoBuildToolsError,
    build_bochs,
)
from orchestrator.packages.trees import unpack
from orchestrator.process.background import in_thread, on_loop

_log = logging.getLogger(__name__)


BIOS = "usr/share/bochs/BIOS-bochs-latest"


VGA_BIOS = "usr/share/vgabios/vgabios.bin"


@dataclass(frozen=True, slots=True)
class Bochs:
    """A Bochs that can run, and its firmware."""

    command: tuple[str, ...]
    """The command, without the arguments of a lab."""
    bios: Path
    vga_bios: Path
    origin: str
    """Name and origin, for the output."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables that it needs beside those of this process."""
    unedited: bool = False
    """True if this Bochs was built without `EDITS`: kvm_intel must be rebuilt with the
    posted-interrupt descriptor at the start of a page."""
    display: str = "nogui"
    """The display_library with which it shows nothing."""

    @property
    def program(self) -> Path:
        """The program that `command` runs."""
        return Path(self.command[-1])

    def check_fit_for(self, release: str) -> None:
        """Refuse kernels that trip over a known defect of unedited Bochs.

        Args:
            release: the kernel's release, as `uname -r` prints it.

        Raises:
            UnfitError: trials in that kernel would be meaningless.
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
) -> Bochs:
    """Return a Bochs, built from Debian's source the first time (about two minutes).

    Args:
        progress: called with the number of compiled files and of all files.
        cache: where to keep Bochs; losttick's cache folder by default.

    Raises:
        PackagesError: source or firmware can't be had here.
        NoBuildToolsError: there is no compiler or make.
        BochsBuildError: the build failed.
    """
    return await in_thread(_bochs, on_loop(progress), cache or cache_folder())


def _bochs(progress: Callable[[int, int], None], cache: Path) -> Bochs:
    place = cache / "bochs"
    key = hashlib.sha256(repr((SOURCE_SHA256, CONFIGURE, EDITS)).encode()).hexdigest()[:16]
    built = _built(place, key)
    if built is None:
        with workshop(place) as work:
            built = _built(place, key)  # by another process, while we waited
            if built is None:
                program = build_bochs(work, progress, cache)
                info = EntryInfo("Bochs", VERSION, time.time(), {"configure": CONFIGURE})
                built = Store(place).add(key, program.parent, info).content / program.name
    firmware = unpack(SUITE, FIRMWARE, cache).root
    return Bochs(
        (str(built),),
        firmware / BIOS,
        firmware / VGA_BIOS,
        f"Bochs {VERSION}, built from Debian's source with {len(EDITS)} edits",
    )


def _built(place: Path, key: str) -> Path | None:
    entry = Store(place).find(key)
    if entry and (damage := entry.damage()):
        _log.warning("Bochs is damaged in %s (%s): building it again",
                     entry.folder, in_words(damage))  # fmt: skip
        return None
    return entry.content / PROGRAM if entry else None


async def bochs_or_debians(
    progress: Callable[[int, int], None] = lambda done, total: None,
    say: Callable[[str], None] = lambda text: None,
    cache: Path | None = None,
) -> Bochs:
    """Return a built Bochs, or Debian's own Bochs if there are no tools to build one.

    Args:
        progress: called with the number of compiled files and of all files.
        say: called with the reason if Debian's own Bochs is used.
        cache: where to keep Bochs; losttick's cache folder by default.

    Raises:
        UnfitError: neither can be had here.
        BochsBuildError: the build failed.
    """
    try:
        return await bochs(progress, cache)
    except NoBuildToolsError as error:
        say(f"{error} Debian's own Bochs is used instead, with realigned modules.")
        return await in_thread(debian_bochs, cache)


def debian_bochs(cache: Path | None = None) -> Bochs:
    """Return Debian's own Bochs, which runs without being built or installed.

    The display `term` draws on a terminal of its own that nobody sees. The serial port must not
    write to standard output. The command makes files in its working directory.

    Raises:
        PackagesError: it can't be had here.
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
        display="term",
    )
