"""The ways in which a virtual machine that somebody else started cannot be used.

::

    TargetError      what the user named is not there, or is something else
    TakenError       another program holds QEMU's monitor
    UnfitGuestError  the virtual machine cannot be tested without harm, or not at all
"""

from orchestrator.errors import InputError, UnfitError


class TargetError(InputError):
    """What the user named is not there, or is no virtual machine of QEMU's."""


class TakenError(UnfitError):
    """Another program holds QEMU's monitor."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__(
            f"looking at the QEMU behind {path}: its monitor is taken: it gave no greeting in "
            f"{seconds:g} s, because it serves one client at a time, and another program (libvirt, "
            "a desktop, an earlier session) is connected. Close that program, start QEMU with a "
            "second monitor (-qmp unix:OTHER,server=on,wait=off), or name the domain with "
            "--libvirt if libvirt manages it. `losttick attach --pid PID` needs no monitor."
        )


class UnfitGuestError(UnfitError):
    """The virtual machine cannot be tested without harm, or not at all. Nothing was touched."""
