"""QEMU's sandbox: a seccomp filter that QEMU puts on itself before its guest runs."""

from orchestrator.host.facts import QemuFacts
from orchestrator.vm.config import InstanceConfig

#: The user's own option, which takes the place of losttick's.
_OPTIONS = ("-sandbox", "--sandbox")


#: The part of the filter that keeps QEMU from starting programs.
_NO_SPAWN = "spawn=deny"


def sandbox_args(config: InstanceConfig, qemu: QemuFacts | None) -> list[str]:
    """Return the arguments that forbid a QEMU the system calls which it does not need.

    QEMU pins nothing itself: losttick sets the affinity of vCPU threads from outside.
    """
    if qemu is None or not qemu.sandbox or any(arg in _OPTIONS for arg in config.args):
        return []
    parts = ["on", "obsolete=deny", "elevateprivileges=deny", "resourcecontrol=deny"]
    if not config.spawns:
        parts.append(_NO_SPAWN)
    return ["-sandbox", ",".join(parts)]


def forbids_spawn(config: InstanceConfig, qemu: QemuFacts | None) -> bool:
    """Return whether losttick's filter ends a QEMU that starts a program."""
    return any(_NO_SPAWN in arg.split(",") for arg in sandbox_args(config, qemu))
