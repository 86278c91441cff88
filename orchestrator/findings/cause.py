"""Causes of a missing tick."""

import enum
from dataclasses import dataclass


class Cause(enum.StrEnum):
    """The cause of a silence."""

    LOST_INTERRUPT = "lost one-shot interrupt"
    PENDING = "pending but undelivered"
    NOT_STARTED = "timer not started"
    """The timer was restored, and the kernel never started it: nothing was ever posted."""
    WRONG_VECTOR = "wrong vector"
    """The tick came, on another vector of the guest."""
    NOT_REARMED = "not re-armed by the guest"
    NOT_RESTORED = "timer not restored"
    NOT_DELIVERABLE = "not deliverable"
    GUEST_CRASHED = "guest crashed"
    VCPU_NOT_RUNNING = "vCPU not running"
    CONSOLE_DEAD = "console dead"
    UNEXPLAINED = "unexplained"
    """The guest is silent, but the evidence fits no other cause."""
    HARNESS_FAULT = "harness fault"


#: Causes that show nothing about the ticks themselves.
NOT_THE_TICKS = frozenset({Cause.CONSOLE_DEAD, Cause.HARNESS_FAULT, Cause.VCPU_NOT_RUNNING})


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A cause, and the sentence that explains it to a kernel developer."""

    cause: Cause
    sentence: str
    vcpu: int = 0
