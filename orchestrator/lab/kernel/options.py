"""The configuration that a kernel needs to run in a lab, read from a built tree's `auto.conf`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: A built tree keeps its configuration here.
AUTO_CONF = Path("include/config/auto.conf")


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a kernel's configuration that a lab needs."""

    name: str
    why: str


#: Options that must be `y`, whatever else the kernel has.
BUILT_IN = (
    Option("CONFIG_64BIT", "the programs of a lab are of 64 bits"),
    Option("CONFIG_BLK_DEV_INITRD", "everything comes in an initial RAM disk"),
    Option("CONFIG_BINFMT_ELF", "runs QEMU and the agent"),
    Option("CONFIG_BINFMT_SCRIPT", "the first process is a script"),
    Option("CONFIG_PRINTK", "the kernel says on its console what happens to it"),
    Option("CONFIG_SERIAL_8250", "the console, and the line to the agent"),
    Option("CONFIG_SERIAL_8250_CONSOLE", "the console"),
    Option("CONFIG_PROC_FS", "facts, and the CPU time of vCPUs"),
    Option("CONFIG_SYSFS", "the parameters of KVM's modules"),
    Option("CONFIG_DEVTMPFS", "/dev/kvm and the serial ports"),
    Option("CONFIG_NET", "sockets between the agent and QEMU"),
    Option("CONFIG_UNIX", "sockets between the agent and QEMU"),
    Option("CONFIG_FUTEX", "QEMU's threads"),
    Option("CONFIG_EPOLL", "QEMU's main loop"),
    Option("CONFIG_EVENTFD", "QEMU's main loop"),
    Option("CONFIG_SIGNALFD", "QEMU's main loop"),
    Option("CONFIG_POSIX_TIMERS", "QEMU's timers"),
    Option("CONFIG_HIGH_RES_TIMERS", "timers that are as exact as the guest's periods"),
)


#: Options that must be `y` or `m`.
KVM = (
    Option("CONFIG_KVM", "the subject"),
    Option("CONFIG_KVM_INTEL", "the subject, on Intel's CPUs"),
)


#: Options that must not be set.
REFUSED = (Option("CONFIG_MODULE_SIG_FORCE", "the modules of a tree are not signed"),)


#: The option that says how many serial ports the kernel has, and how many a lab needs.
PORTS, LEAST_PORTS = Option("CONFIG_SERIAL_8250_RUNTIME_UARTS", "the line to the agent"), 2


def read_options(file: Path) -> dict[str, str]:
    """Return the options that are set in a `.config` or `auto.conf`, and their values.

    Raises:
        OSError: the file can't be read.
    """
    lines = file.read_text(errors="replace").splitlines()
    pairs = (line.partition("=") for line in lines if not line.startswith("#"))
    return {name: value for name, equals, value in pairs if equals}


def faults(config: Mapping[str, str]) -> list[str]:
    """Return what a lab misses in a configuration, one line for each option."""
    found = [f"{o.name}=y ({o.why})" for o in BUILT_IN if config.get(o.name) != "y"]
    found += [f"{o.name}=y or =m ({o.why})" for o in KVM if config.get(o.name) not in ("y", "m")]
    if not config.get(PORTS.name, "").isdecimal() or int(config[PORTS.name]) < LEAST_PORTS:
        found.append(f"{PORTS.name}={LEAST_PORTS} or more ({PORTS.why})")
    found += [f"no {o.name} ({o.why})" for o in REFUSED if config.get(o.name) == "y"]
    return found
