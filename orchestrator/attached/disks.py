"""The disks of a virtual machine, and whether all of them can take part in a snapshot.

QEMU's `savevm` writes an internal snapshot into every writable disk, and the state of the machine
into one of them. A disk that does not take part would keep what the guest wrote after the save, and
a load would give the guest a torn file system.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

#: Formats of images that QEMU takes internal snapshots in.
SNAPSHOTTING = ("qcow2",)


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """A snapshot in an image."""

    name: str
    id: str = ""
    vm_state_size: Annotated[int, Field(alias="vm-state-size")] = 0


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """The image in a drive."""

    filename: str = ""
    snapshots: tuple[SnapshotInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """The medium in a drive."""

    ro: bool
    drv: str
    image: ImageInfo
    file: str = ""


@dataclass(frozen=True, slots=True)
class BlockInfo:
    """An entry of `query-block`: a drive."""

    device: str
    qdev: str | None = None
    inserted: DeviceInfo | None = None

    @property
    def name(self) -> str:
        """Name of the drive for a person."""
        return self.device or self.qdev or "a drive without a name"


def writable(drives: Sequence[BlockInfo]) -> Sequence[BlockInfo]:
    """Return the drives that have a medium which the guest can write to."""
    return [drive for drive in drives if drive.inserted and not drive.inserted.ro]


def snapshots(drives: Sequence[BlockInfo]) -> Sequence[str]:
    """Return the names of all snapshots on writable drives, in their order."""
    found: dict[str, None] = {}
    for drive in writable(drives):
        assert drive.inserted
        found |= dict.fromkeys(each.name for each in drive.inserted.image.snapshots)
    return list(found)


def reasons_against(drives: Sequence[BlockInfo]) -> Sequence[str]:
    """Return why no snapshot can be taken that all writable disks take part in; empty if one can.

    Args:
        drives: all drives, by `query-block`.
    """
    disks = writable(drives)
    found = []
    for disk in disks:
        assert disk.inserted
        if disk.inserted.drv not in SNAPSHOTTING:
            found.append(
                f"the writable disk {disk.name} ({disk.inserted.file}) has the format "
                f"{disk.inserted.drv}, in which QEMU takes no snapshot: convert it to qcow2 "
                "(`qemu-img convert -O qcow2`), or give it to the guest read-only"
            )
    if not disks:
        found.append(
            "it has no writable disk, and the state of the machine needs one: start it with a "
            "qcow2 disk"
        )
    return found
