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

Bochs also masks interrupts of the host in a guest that it enters with interrupts off, although
"external-interrupt exiting" makes them end such a guest. QEMU could not stop that guest, nor could
the host run another vCPU on that CPU. losttick builds Bochs so that they end it.

Finally, Bochs connects a serial port only to a TCP port, which every user of this computer can
reach. losttick builds Bochs so that a serial port takes a socket that losttick hands down.
"""

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.cache.store import EntryInfo, Store, in_words
from orchestrator.cache.workshop import cache_folder, workshop
from orchestrator.lab.emulator.build import (
    CONFIGURE,
    EDITS,
    FIRMWARE,
    PROGRAM,
    SOURCE_SHA256,
    SUITE,
    VERSION,
    build_bochs,
)
from orchestrator.packages.trees import unpack
from orchestrator.process.background import in_thread, on_loop

_log = logging.getLogger(__name__)


BIOS = "usr/share/bochs/BIOS-bochs-latest"


VGA_BIOS = "usr/share/vgabios/vgabios.bin"


#: Folder of the built programs in the cache.
_FOLDER = "bochs"


#: Key of the program: it depends on all that the program is built from.
_KEY = hashlib.sha256(repr((SOURCE_SHA256, CONFIGURE, EDITS)).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Bochs:
    """A Bochs that can run, and its firmware."""

    program: Path
    bios: Path
    vga_bios: Path
    origin: str
    """Name and origin, for the output."""


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
        NoToolsError: there is no compiler or make.
        BochsBuildError: the build failed.
    """
    return await in_thread(_bochs, on_loop(progress), cache or cache_folder())


def _bochs(progress: Callable[[int, int], None], cache: Path) -> Bochs:
    built = _built(cache)
    if built is None:
        with workshop(cache / _FOLDER) as work:
            built = _built(cache)  # by another process, while we waited
            if built is None:
                program = build_bochs(work, progress, cache)
                info = EntryInfo("Bochs", VERSION, time.time(), {"configure": CONFIGURE})
                entry = Store(cache / _FOLDER).add(_KEY, program.parent, info)
                built = entry.content / program.name
    firmware = unpack(SUITE, FIRMWARE, cache).root
    return Bochs(
        built,
        firmware / BIOS,
        firmware / VGA_BIOS,
        f"Bochs {VERSION}, built from Debian's source with {len(EDITS)} edits",
    )


def is_built(cache: Path | None = None) -> bool:
    """Return whether the cache has the built program."""
    return _built(cache or cache_folder()) is not None


def _built(cache: Path) -> Path | None:
    entry = Store(cache / _FOLDER).find(_KEY)
    if entry and (damage := entry.damage()):
        _log.warning("Bochs is damaged in %s (%s): building it again",
                     entry.folder, in_words(damage))  # fmt: skip
        return None
    return entry.content / PROGRAM if entry else None
