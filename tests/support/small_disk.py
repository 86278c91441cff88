"""A real disk that is soon full: a tmpfs of a few megabytes. Only root can mount one."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.needs import Need, lacking


class SmallDisk:
    """A mounted tmpfs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def resize(self, kib: int) -> None:
        """Give it another size."""
        self._mount("-o", f"remount,size={kib}k", str(self.path))

    def fill(self, leave_bytes: int = 0) -> Path:
        """Fill the disk with a file, up to some bytes, and return the file."""
        ballast = self.path / "ballast"
        disk = os.statvfs(self.path)
        with ballast.open("wb") as file:
            file.write(bytes(max(0, disk.f_bavail * disk.f_frsize - leave_bytes)))
        return ballast

    def take_no_more_files(self) -> None:
        """Let no file and no folder be made any more."""
        disk = os.statvfs(self.path)
        self._mount("-o", f"remount,nr_inodes={disk.f_files - disk.f_ffree}", str(self.path))

    @staticmethod
    def _mount(*args: str) -> None:
        done = subprocess.run(["mount", *args], check=False, capture_output=True, text=True)
        if done.returncode != 0:
            lacking(Need.NAMESPACES, f"a tmpfs can't be mounted: {done.stderr}")

    @classmethod
    def mounted(cls, path: Path, kib: int) -> "SmallDisk":
        """Mount one."""
        path.mkdir()
        cls._mount("-t", "tmpfs", "-o", f"size={kib}k,mode=755", "none", str(path))
        return cls(path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], SmallDisk]]:
    """Mounts a disk of so many KiB."""
    if os.geteuid() != 0:
        lacking(Need.ROOT, "only root can mount a disk")
    disks: list[SmallDisk] = []

    def mount(kib: int) -> SmallDisk:
        disks.append(SmallDisk.mounted(tmp_path / f"disk{len(disks)}", kib))
        return disks[-1]

    yield mount
    for disk in disks:
        subprocess.run(["umount", "--lazy", str(disk.path)], check=True)
