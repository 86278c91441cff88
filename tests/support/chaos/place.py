"""The places of one round: where its run writes, and where its QEMUs live."""

import contextlib
import os
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import MARKER

#: Size of each small disk. QEMU's folders need one with 128 MiB to spare.
DISK_MIB = 192


@dataclass(frozen=True)
class Place:
    """The folders of a round, and the environment that leads its programs there."""

    folder: Path
    marker: str
    """Every process of the round inherits it."""
    small: bool
    """Whether results and QEMUs have small disks of their own, which can be filled."""

    @property
    def results(self) -> Path:
        """The parent of the run's output folder."""
        return self.folder / "results"

    @property
    def qemus(self) -> Path:
        """The parent of QEMU's folders."""
        return self.folder / "qemus"

    @property
    def temporary(self) -> Path:
        """The folder for temporary files."""
        return self.folder / "temporary"

    @property
    def events(self) -> Path:
        """The file in which every session announces its steps."""
        return self.folder / "events"

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of every program of the round."""
        return os.environ | {
            MARKER: self.marker,
            "XDG_RUNTIME_DIR": str(self.qemus),
            "TMPDIR": str(self.temporary),
        }


@contextlib.contextmanager
def new_place(parent: Path, name: str) -> Iterator[Place]:
    """Make the places of a round. As root, two of them are small disks of their own."""
    place = Place(parent / name, uuid.uuid4().hex, small=os.geteuid() == 0)
    with contextlib.ExitStack() as mounted:
        for folder in (place.results, place.qemus, place.temporary):
            folder.mkdir(parents=True)
            folder.chmod(0o700)
        if place.small:
            for folder in (place.results, place.qemus):
                options = f"size={DISK_MIB}m,mode=0700"
                subprocess.run(
                    ["mount", "-t", "tmpfs", "-o", options, "losttick-chaos", str(folder)],
                    check=True,
                )
                mounted.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=True)
        yield place


def fill(folder: Path) -> Path:
    """Fill a disk to its last byte; return the file that does."""
    filler = folder / "filler"
    left = filler.open("wb", buffering=0)
    with left:
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    left.write(bytes(size))
    return filler
