"""QEMU's arguments for the tick guest."""

from orchestrator.guest.tick.config import CONFIG_FILE, DEBUG_PORT
from orchestrator.host.chardevs import QMP_CHARDEV, console_chardev
from orchestrator.vm.config import Accel, InstanceConfig

BIOS_FILE = "tick.bin"


DISK_FILE = "disk.qcow2"


#: Node name of the disk that holds the VM state.
DISK_NODE = "vmstate"


def qemu_args(config: InstanceConfig) -> list[str]:
    """Return the arguments; files are relative to QEMU's own folder.

    The guest stops QEMU neither by a reset nor by a shutdown: what crashed can
    still be looked at.
    """
    # Said in any case: machine types differ in what they take by themselves.
    irqchip = f",kernel-irqchip={config.irqchip}" if config.accel is Accel.KVM else ""
    disk = f"if=none,id=disk,node-name={DISK_NODE},file={DISK_FILE},format=qcow2,cache=unsafe"
    # As sockets, whose APIC IDs follow each other.
    vcpus = config.guest.vcpus
    own_ports = [
        ("-device", f"isa-debugcon,iobase={DEBUG_PORT + n:#x},chardev={console_chardev(n)}")
        for n in range(1, config.consoles)
    ]
    return [
        *("-nodefaults", "-no-user-config"),
        *("-display", "none"),
        *("-machine", f"{config.machine},accel={config.accel}{irqchip}"),
        *("-cpu", config.cpu),
        *("-m", str(config.memory_mib)),
        *("-smp", f"{vcpus},sockets={vcpus}" if vcpus > 1 else "1"),
        *("-bios", BIOS_FILE),
        *("-fw_cfg", f"name={CONFIG_FILE},string={config.guest.record()}"),
        *("-mon", f"chardev={QMP_CHARDEV},mode=control"),
        *("-serial", f"chardev:{console_chardev(0)}"),
        *(argument for port in own_ports for argument in port),
        *(("-drive", disk) if config.disk else ()),
        *("-no-reboot", "-no-shutdown"),
    ]  # fmt: skip
