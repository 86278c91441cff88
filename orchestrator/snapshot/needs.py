"""The virtual machine that a snapshot method needs."""

from dataclasses import replace

from orchestrator.snapshot.protocol import Snapshots
from orchestrator.vm.config import InstanceConfig


def with_needs(config: InstanceConfig, method: Snapshots) -> InstanceConfig:
    """Return a virtual machine with what a method needs, and without what it does not need.

    Only the QEMU of a method that saves or loads through other programs may start programs.
    """
    return replace(config, disk=method.needs_disk, spawns=method.spawns)
