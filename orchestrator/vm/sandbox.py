"""QEMU's sandbox: a seccomp filter that QEMU puts on itself before its guest runs."""

from orchestrator.host.facts import QemuFacts
from orchestrator.vm.config import InstanceConfig

#: The user's own option, which takes the place of losttick's.
_OPTIONS = ("-sandbox", "--sandbox")


def sandbox_args(config: InstanceConfig, qemu: QemuFacts | None) -> list[str]:
    """Return the arguments that forbid a QEMU the system calls which it does not need.

    QEMU pins nothing itself: losttick sets the affinity of vCPU threads from outside.
    """
    if qemu is None or not qemu.sandbox or any(arg in _OPTIONS for arg in config.args):
        return []
    denied = ["obsolete", "elevateprivileges", "resourcecontrol"]
    if not config.spawns:
        denied.append("spawn")
    return ["-sandbox", ",".join(["on", *(f"{each}=deny" for each in denied)])]
