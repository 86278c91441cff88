"""The character devices that a host gives each QEMU: arguments refer to them by their ids.

What stands behind them is the host's affair; here it is always an inherited descriptor.
"""

from collections.abc import Sequence

QMP_CHARDEV = "qmp"


def console_chardev(number: int) -> str:
    """Return the id of a console's device, from 0."""
    return f"console{number}"


def chardev_args(qmp_fd: int, console_fds: Sequence[int]) -> list[str]:
    """Return QEMU's arguments for the devices behind which these descriptors stand."""
    devices = {QMP_CHARDEV: qmp_fd}
    devices |= {console_chardev(number): fd for number, fd in enumerate(console_fds)}
    named = [("-chardev", f"socket,id={name},fd={fd}") for name, fd in devices.items()]
    return [argument for pair in named for argument in pair]
