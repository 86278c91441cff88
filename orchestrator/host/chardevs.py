"""The character devices of each QEMU. QEMU's other arguments refer to them by their ids.

Each device is a socket whose descriptor QEMU inherits.
"""

from collections.abc import Sequence

QMP_CHARDEV = "qmp"


def console_chardev(number: int) -> str:
    """Return the id of the device of a console. Consoles are numbered from 0."""
    return f"console{number}"


def chardev_args(qmp_fd: int, console_fds: Sequence[int]) -> list[str]:
    """Return QEMU's arguments for devices on these inherited descriptors."""
    devices = {QMP_CHARDEV: qmp_fd}
    devices |= {console_chardev(number): fd for number, fd in enumerate(console_fds)}
    named = [("-chardev", f"socket,id={name},fd={fd}") for name, fd in devices.items()]
    return [argument for pair in named for argument in pair]
