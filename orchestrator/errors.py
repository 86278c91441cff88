"""The error tree.

Three families, by who has to act::

    LosttickError
    ├── InputError          the user gave something that can't be used (exit code 2)
    ├── UnfitError          this host can't do what was asked: becomes a skip (exit code 3)
    └── InfraError          the harness or its QEMU failed (exit code 4)
        └── TransientError  the host had no time or no room: a later try may do (exit code 6)

Each concrete error is defined beside the code that raises it. A verdict is
data, never an exception. Every message says what was being done, what was
seen and, if there is something to do, what to do next.
"""

import enum
import errno
import os


class Lack(enum.StrEnum):
    """The setting of a plan whose value a host or its QEMU lacks, by the name of its axis."""

    ACCEL = "accel"
    APIC = "apic"
    CPU = "cpu"
    FIRMWARE = "firmware"
    GUEST_KERNEL = "guest_kernel"
    IRQCHIP = "irqchip"
    LOADER = "loader"
    MACHINE = "machine"
    METHOD = "method"
    MODE = "mode"
    PAUSE_BEFORE_CONT = "pause_before_cont"
    PHASE = "phase"
    QEMU = "qemu"
    STATE = "state"
    VCPUS = "vcpus"
    VMSTATE = "vmstate"
    WAIT = "wait"


class LosttickError(Exception):
    """Root of every error that losttick raises on purpose."""

    of_subject: bool = False
    """True if what is under test can't be tested, such as a commit that does not build. Another
    commit may do on the same host."""

    unwritten: bool = False
    """True if what was found can't be written down. Nobody can tell then what it was, so no choice
    of the kinds that fail a job makes it a success."""


class InputError(LosttickError):
    """The user gave something that can't be used."""


class UnfitError(LosttickError):
    """The host lacks something that the request needs."""

    lacks: Lack | None = None
    """The setting of a plan that can't be had; None if it is none, or not known."""


class InfraError(LosttickError):
    """The harness or its QEMU failed, so nothing was learnt about the host."""

    @property
    def transient(self) -> bool:
        """True if the host had no time or no room for it, so that a later try may succeed."""
        return False


class TransientError(InfraError):
    """The host had no time or no room for something: a later try may succeed."""

    @property
    def transient(self) -> bool:
        """True."""
        return True


#: The errors of a system that has no room or no turn at the moment, in its words.
_NO_ROOM = tuple(
    os.strerror(number)
    for number in (
        errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.EMFILE, errno.ENFILE,
        errno.EBUSY, errno.EINTR, errno.ETIMEDOUT,
    )
)  # fmt: skip


def says_no_room(words: str) -> bool:
    """Return whether the words of a program say that its host had no room at the moment."""
    return any(each in words for each in _NO_ROOM)


def own_fault(doing: str, error: Exception) -> str:
    """Return the words for an error that losttick did not foresee.

    Args:
        doing: what was being done.
        error: what was raised.
    """
    return f"{doing}: a fault in losttick itself: {type(error).__name__}: {error}."
