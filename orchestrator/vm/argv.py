"""QEMU's arguments for an instance."""

from orchestrator.host.chardevs import QMP_CHARDEV
from orchestrator.vm.config import Accel, Firmware, InstanceConfig, VmstateDisk

DISK_FILE = "disk.qcow2"


#: Node name of the disk that holds the VM state.
DISK_NODE = "vmstate"

#: The read-only disk before the disk that holds the VM state, where there are two.
SYSTEM_FILE = "system.raw"


#: Keeps QEMU's run state out of a migration. Otherwise the state of a guest that was stopped for
#: its save leaves the loaded guest stopped, with or without `-S`.
STATELESS = ("-global", "migration.store-global-state=off")


def qemu_args(config: InstanceConfig, machine: str | None = None) -> list[str]:
    """Return the arguments; files are relative to QEMU's own folder.

    Args:
        config: the virtual machine.
        machine: the machine type and options that the QEMU has for `config.machine`.

    The guest stops QEMU neither by a reset nor by a shutdown: what crashed can
    still be looked at.
    """
    # Always given, because machine types have different defaults.
    irqchip = f",kernel-irqchip={config.irqchip}" if config.accel is Accel.KVM else ""
    # One socket for each vCPU, so that the APIC IDs are consecutive.
    vcpus = config.guest.vcpus
    return [
        *("-nodefaults", "-no-user-config"),
        *("-display", "none"),
        *("-machine", f"{machine or config.machine},accel={config.accel}{irqchip}"),
        *("-cpu", config.cpu),
        *("-m", str(config.memory_mib)),
        *("-smp", f"{vcpus},sockets={vcpus}" if vcpus > 1 else "1"),
        *("-mon", f"chardev={QMP_CHARDEV},mode=control"),
        *_firmware(config),
        *_disks(config),
        *config.args,
        *(STATELESS if config.loads_run_on else ()),
        *("-no-reboot", "-no-shutdown"),
    ]  # fmt: skip


def _firmware(config: InstanceConfig) -> list[str]:
    """Return the guest's own arguments, with its firmware where the configuration wants it."""
    args = list(config.program.qemu_args(config.guest))
    if config.firmware is Firmware.PFLASH and "-bios" in args:
        at = args.index("-bios")
        drive = f"if=pflash,format=raw,readonly=on,file={args[at + 1]}"
        args[at : at + 2] = ["-drive", drive]
    return args


def _disks(config: InstanceConfig) -> list[str]:
    if not config.disk:
        return []
    disks = [f"if=none,id=disk,node-name={DISK_NODE},file={DISK_FILE},format=qcow2,cache=unsafe"]
    if config.vmstate is VmstateDisk.SECOND:
        system = f"if=none,id=system,file={SYSTEM_FILE},format=raw,readonly=on"
        disks.insert(0, system)
    return [argument for disk in disks for argument in ("-drive", disk)]
