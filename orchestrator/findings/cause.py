"""Causes of a missing tick."""

import enum
from dataclasses import dataclass

from orchestrator.findings.witness import TraceReading


class Cause(enum.StrEnum):
    """The cause of a silence."""

    LOST_INTERRUPT = "lost one-shot interrupt"
    LOST_DEADLINE = "lost TSC-deadline interrupt"
    """The TSC deadline passed and the timer fired, but its interrupt never reached the guest."""
    DEADLINE_GONE = "TSC deadline gone"
    """The deadline reads 0. Either the load did not restore it, or the deadline passed
    and its interrupt was lost: nothing says which."""
    LOST_PIC_INTERRUPT = "lost PIC interrupt"
    """The timer runs, or raised its interrupt, and the PIC has nothing pending."""
    LOST_STIMER = "lost Hyper-V timer interrupt"
    """Hyper-V's synthetic timer is over, and nothing is pending or in the way."""
    PENDING = "pending but undelivered"
    CAME_BACK = "back at a look"
    """Ticks came back while the guest was looked at, and nobody had seen one pending."""
    NOT_STARTED = "timer not started"
    """The timer was restored, and the kernel never started it: nothing was ever posted."""
    WRONG_VECTOR = "wrong vector"
    """The guest took an interrupt on another vector, or another vector waits in IRR or ISR."""
    NOT_REARMED = "not re-armed by the guest"
    NOT_RESTORED = "timer not restored"
    NO_EFFECT = "load without effect"
    """The guest's own numbers go on from before the load, or from before the save."""
    NOT_DELIVERABLE = "not deliverable"
    IN_SERVICE = "stuck in service"
    """An interrupt stays in service (its bit in ISR is set) although no handler runs, and holds
    the tick back."""
    GUEST_CRASHED = "guest crashed"
    QEMU_CRASHED = "QEMU crashed"
    """QEMU ended itself by a signal, for instance because KVM refused the restored state."""
    VCPU_NOT_RUNNING = "vCPU not running"
    HALTED = "vCPU halted"
    """The vCPU of a guest that never halts is halted, and sleeps."""
    NOT_EXECUTING = "guest not executing"
    """QEMU runs the vCPU, but the guest's loop makes no progress."""
    STORM = "tick storm"
    """The guest counts more ticks than the time allows, and prints none of them."""
    CONSOLE_DEAD = "console dead"
    UNEXPLAINED = "unexplained"
    """The guest is silent, but the evidence fits no other cause."""
    HARNESS_FAULT = "harness fault"


#: Causes that prove a tick lost: the timer is over, and nothing is pending or in the way.
INTERRUPT_LOST = frozenset(
    {
        Cause.LOST_INTERRUPT,
        Cause.LOST_DEADLINE,
        Cause.DEADLINE_GONE,
        Cause.LOST_STIMER,
        Cause.NOT_STARTED,
    }
)


#: Causes of a vCPU that the load left unable to run. Its ticks are lost, though the vCPU used no
#: CPU time by which silence could be measured.
STANDS_STILL = frozenset({Cause.HALTED, Cause.NOT_EXECUTING})


#: Causes that show nothing about the ticks themselves.
NOT_THE_TICKS = frozenset({Cause.CONSOLE_DEAD, Cause.HARNESS_FAULT, Cause.VCPU_NOT_RUNNING})


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A cause, and the sentence that explains it to a kernel developer."""

    cause: Cause
    sentence: str
    vcpu: int = 0
    trace: TraceReading | None = None
    """The kernel's account of the timer, from its trace; None if there is no trace, or if the
    silence has another cause."""
