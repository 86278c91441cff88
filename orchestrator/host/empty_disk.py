"""The empty disk of a virtual machine, which holds its state after a save."""

import os
from collections.abc import Sequence
from pathlib import Path

from orchestrator.process.tool import run_tool


def make_empty_disk(qemu_img: Sequence[str]) -> bytes:
    """Return an empty qcow2 image.

    It is made in memory: a file would stay behind if losttick were killed meanwhile, and its
    disk might be full.

    Args:
        qemu_img: the command that runs qemu-img.

    Raises:
        ToolError: qemu-img failed.
    """
    descriptor = os.memfd_create("disk")
    try:
        path = Path(f"/proc/self/fd/{descriptor}")  # of qemu-img and of this process
        command = [*qemu_img, "create", "-q", "-f", "qcow2", str(path), "1M"]
        run_tool(command, "making an empty disk for snapshots", hold=[descriptor])
        return path.read_bytes()
    finally:
        os.close(descriptor)
