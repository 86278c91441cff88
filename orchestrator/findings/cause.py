"""Why a tick did not come."""

import enum
from dataclasses import dataclass


class Cause(enum.StrEnum):
    """What kept the tick away."""

    LOST_INTERRUPT = "lost one-shot interrupt"
    PENDING = "pending but undelivered"
    NOT_REARMED = "not re-armed by the guest"
    NOT_RESTORED = "timer not restored"
    NOT_DELIVERABLE = "not deliverable"
    GUEST_CRASHED = "guest crashed"
    VCPU_NOT_RUNNING = "vCPU not running"
    CONSOLE_DEAD = "console dead"
    UNEXPLAINED = "unexplained"
    """Silent, and the evidence fits none of the others."""
    HARNESS_FAULT = "harness fault"


#: Causes that say nothing of the ticks themselves.
NOT_THE_TICKS = frozenset({Cause.CONSOLE_DEAD, Cause.HARNESS_FAULT, Cause.VCPU_NOT_RUNNING})


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A cause, and the sentence that a kernel developer would sign."""

    cause: Cause
    sentence: str
    vcpu: int = 0
