"""Witnesses: what else can tell a lost interrupt from a timer that was never started.

A guest whose timer the kernel never started gives the same testimony as a guest whose
interrupt the kernel dropped. A second witness tells the two apart.
"""

import enum
from dataclasses import dataclass


class TraceReading(enum.StrEnum):
    """The kernel's account of a silent vCPU's timer since the load, from its trace."""

    VANISHED = "accepted, then vanished"
    """The LAPIC accepted the tick vector more often than the guest took it."""
    NEVER = "never fired"
    """The guest took every tick that the LAPIC accepted. The timer that it waits for posted
    nothing."""
    UNREADABLE = "not readable"


class Witness(enum.StrEnum):
    """A source that can be asked about a loss."""

    TRACE = "trace"
    """The kernel's trace of the loads."""
    DIRECT = "direct test"
    """`KVM_SET_LAPIC` with several current counts, without QEMU, on the same host."""
    NO_APICV = "arm without APICv"
    """In a lab, the same modules with APICv off."""
    FIRST_TICKS = "first ticks"
    """When the first ticks came after the other loads of the cell."""


class Says(enum.StrEnum):
    """A witness's answer about losses that were diagnosed as the known bug."""

    AGREES = "agrees"
    CONTRADICTS = "contradicts"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Statement:
    """The answer of one witness, and its grounds."""

    witness: Witness
    says: Says
    why: str
    """The grounds, as a clause: `the kernel's trace shows ...`."""
