"""QEMU's arguments for an instance."""

from orchestrator.host.chardevs import QMP_CHARDEV
from orchestrator.vm.config import Accel, InstanceConfig

DISK_FILE = "disk.qcow2"


#: Node name of the disk that holds the VM state.
DISK_NODE = "vmstate"


#: Keeps QEMU's run state out of a migration. Otherwise the state of a guest that was stopped for
#: its save leaves the loaded guest stopped, with or without `-S`.
STATELESS = ("-global", "migration.store-global-state=off")


def qemu_args(config: InstanceConfig) -> list[str]:
    """Return the arguments; files are relative to QEMU's own folder.

    The guest stops QEMU neither by a reset nor by a shutdown: what crashed can
    still be looked at.
    """
    # Always given, because machine types have different defaults.
    irqchip = f",kernel-irqchip={config.irqchip}" if config.accel is Accel.KVM else ""
    disk = f"if=none,id=disk,node-name={DISK_NODE},file={DISK_FILE},format=qcow2,cache=unsafe"
    # One socket for each vCPU, so that the APIC IDs are consecutive.
    vcpus = config.guest.vcpus
    return [
        *("-nodefaults", "-no-user-config"),
        *("-display", "none"),
        *("-machine", f"{config.machine},accel={config.accel}{irqchip}"),
        *("-cpu", config.cpu),
        *("-m", str(config.memory_mib)),
        *("-smp", f"{vcpus},sockets={vcpus}" if vcpus > 1 else "1"),
        *("-mon", f"chardev={QMP_CHARDEV},mode=control"),
        *config.program.qemu_args(config.guest),
        *(("-drive", disk) if config.disk else ()),
        *(STATELESS if config.loads_run_on else ()),
        *("-no-reboot", "-no-shutdown"),
    ]  # fmt: skip
