"""Options of a user's own virtual machine, and the ones that losttick has to set itself."""

import re
import shlex
from collections.abc import Sequence

#: QEMU's options that losttick gives or that would take its place, and what to use instead.
_OWNED = {
    "machine": "--machine", "M": "--machine", "cpu": "--cpu", "m": "--memory", "smp": "--vcpus",
    "accel": "--accel", "enable-kvm": "--accel", "no-kvm": "--accel", "bios": "--firmware",
    "pflash": "--firmware", "loadvm": "--method", "incoming": "--method",
}  # fmt: skip

_FORBIDDEN = frozenset(
    {
        "S", "qmp", "qmp-pretty", "mon", "monitor", "serial", "nographic", "curses", "display",
        "daemonize", "preconfig", "no-reboot", "no-shutdown", "action", "nodefaults",
        "no-user-config", "nouserconfig", "readconfig", "snapshot", "kernel", "h", "help",
        "version", "only-migratable", "chroot", "runas", "run-with", "pidfile", "writeconfig",
    }
)  # fmt: skip

#: Values that would take a chardev, the disk, the firmware or the configuration of losttick.
_VALUES = {
    r"(?:.*,)?(?:id|chardev)=(?:qmp|console\d+)(?:,.*)?": "a character device of losttick",
    r"(?:.*,)?chardev:(?:qmp|console\d+)": "a character device of losttick",
    r"(?:.*,)?if=pflash(?:,.*)?": "the firmware (use --firmware)",
    r"(?:.*,)?(?:id|node-name)=(?:disk|vmstate|system)(?:,.*)?": "a disk of losttick",
    r"(?:.*,)?name=opt/losttick/.*": "the guest's configuration",
    r"migration[.,].*": "migration settings",
    r"driver=migration,.*": "migration settings",
}

#: Machine options that losttick sets, and what to use instead.
_MACHINE_OPTIONS = {
    "accel": "--accel", "kernel-irqchip": "--irqchip", "type": "the machine's name",
    "pflash0": "--firmware", "pflash1": "--firmware", "firmware": "--firmware",
}  # fmt: skip


def check_args(args: Sequence[str]) -> None:
    """Check further arguments for QEMU.

    Raises:
        ValueError: an argument would take over something that losttick sets.
    """
    if args and not args[0].startswith("-"):
        raise ValueError(f"{args[0]!r} is no option of QEMU: an option begins with -")
    for arg in args:
        name = arg.lstrip("-") if arg.startswith("-") else ""
        if name in _OWNED:
            raise ValueError(f"losttick sets {arg} itself: use {_OWNED[name]}")
        if name in _FORBIDDEN:
            raise ValueError(f"losttick cannot do its work with {arg}: leave it out")
        for pattern, what in _VALUES.items():
            if re.fullmatch(pattern, arg):
                raise ValueError(f"{arg!r} would take over {what}")


def check_machine(machine: str) -> str:
    """Return a machine with its options.

    Raises:
        ValueError: losttick sets one of the options itself.
    """
    for option in machine.split(",")[1:]:
        key = option.partition("=")[0].replace("_", "-")
        if key in _MACHINE_OPTIONS:
            raise ValueError(f"losttick sets {key} itself: use {_MACHINE_OPTIONS[key]}")
    return machine


def split_args(text: str) -> tuple[str, ...]:
    """Return the arguments in a text, which quotes them as a shell does.

    Raises:
        ValueError: a quotation does not end, or an argument is not allowed.
    """
    args = tuple(shlex.split(text))
    check_args(args)
    return args
