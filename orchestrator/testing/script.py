"""Scripts: what goes wrong in a fake QEMU, and when.

A script is called with each vCPU as a load has restored it. The behaviours here are those of
a host's KVM; a test writes others:

    def lost_at_the_tenth_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        if number == 10:
            vcpu.due_ns = None
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from orchestrator.guest.timer_mode import TimerMode
from orchestrator.testing.vcpu import TSC_PER_NS, FakeVcpu

if TYPE_CHECKING:
    from orchestrator.testing.qemu import FakeQemu

Behaviour: TypeAlias = "Callable[[FakeQemu, FakeVcpu, int], None]"
"""Called with the QEMU, a vCPU as it was restored, and the number of the load in this QEMU."""

Command: TypeAlias = "Callable[[FakeQemu], object]"
"""Called when a monitor command comes; its result, awaited if need be, is the answer.

None means that the command is carried out as usual.
"""


def immediate(qemu: "FakeQemu", vcpu: FakeVcpu, number: int) -> None:
    """Fire the restored timer at once.

    A periodic timer begins a period instead, as in KVM, and a TSC deadline comes by the TSC. QEMU's
    own LAPIC goes on with what is left of the period.
    """
    if qemu.lapic_is_qemus and vcpu.due_ns is not None:
        return
    left_ns = qemu.period_ns if qemu.config.mode == TimerMode.PERIODIC else 0
    if vcpu.deadline:
        left_ns = max(0, vcpu.deadline - vcpu.tsc) // TSC_PER_NS
    vcpu.due_ns = vcpu.ran_ns + left_ns


def full_period(qemu: "FakeQemu", vcpu: FakeVcpu, number: int) -> None:
    """Fire the restored timer after a whole period."""
    vcpu.due_ns = vcpu.ran_ns + qemu.period_ns


def remaining(qemu: "FakeQemu", vcpu: FakeVcpu, number: int) -> None:
    """Fire the restored timer when the rest of its period has passed."""


def lost(qemu: "FakeQemu", vcpu: FakeVcpu, number: int) -> None:
    """Lose the timer's interrupt."""
    vcpu.due_ns = None


def only_in_trials(behaviour: Behaviour) -> Behaviour:
    """Return a behaviour that leaves controls alone: their loads are `immediate`."""

    def on_load(qemu: "FakeQemu", vcpu: FakeVcpu, number: int) -> None:
        (immediate if qemu.config.control_tick else behaviour)(qemu, vcpu, number)

    return on_load


@dataclass
class Script:
    """The behaviour of all QEMUs of a fake host."""

    on_load: Behaviour = immediate
    on_command: dict[str, Command] = field(default_factory=dict)
    """Actions by the beginning of the QMP command, or of the HMP command line."""
