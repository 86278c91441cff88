"""Whether a host could show the bug at all.

The bug needs posted interrupts: Intel, with APICv in use. What counts is APICv as
it is, by the module's parameter and by the kernel's tracepoints, never a version
number. The mail in which the cause was found names both commits:
8e6ed96cdd50 fires the restored timer inside KVM_SET_LAPIC, 967235d32032 clears the
posted interrupt in the same call.
"""

import enum
from dataclasses import dataclass, replace

from orchestrator.guest.timer_mode import TimerMode
from orchestrator.host.facts import HostFacts
from orchestrator.vm.config import Accel, IrqChip


class ExposureState(enum.StrEnum):
    """Could this host show the bug?"""

    EXPOSED = "exposed"
    NOT_EXPOSED = "not-exposed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Exposure:
    """The answer, and what it rests on."""

    state: ExposureState
    why: str


def exposure(
    facts: HostFacts, accel: Accel, mode: TimerMode, irqchip: IrqChip = IrqChip.ON
) -> Exposure:
    """Say whether guests in this mode could lose their tick on this host."""
    if accel is Accel.TCG:
        return Exposure(
            ExposureState.NOT_EXPOSED,
            "TCG has a LAPIC of its own: no KVM_SET_LAPIC, no posted interrupts",
        )
    if irqchip is IrqChip.OFF:
        return Exposure(
            ExposureState.NOT_EXPOSED,
            "with the irqchip off the LAPIC is QEMU's own: no KVM_SET_LAPIC, no posted interrupts",
        )
    modules = facts.kvm_modules
    if "kvm_pvm" in modules and "kvm_intel" not in modules:
        return Exposure(
            ExposureState.NOT_EXPOSED,
            "KVM runs on its paravirtual back end (kvm_pvm), which has no APICv",
        )
    if "kvm_amd" in modules:
        return Exposure(
            ExposureState.NOT_EXPOSED,
            "an AMD host: AVIC keeps pending interrupts in the IRR and is immune",
        )
    if "kvm_intel" not in modules:
        return Exposure(ExposureState.UNKNOWN, "kvm_intel's parameters can't be read")
    apicv = modules["kvm_intel"].get("enable_apicv")
    if apicv is None:
        return Exposure(
            ExposureState.UNKNOWN,
            "kvm_intel has no readable parameter enable_apicv "
            "(/sys/module/kvm_intel/parameters/enable_apicv)",
        )
    if apicv not in ("Y", "1"):
        return Exposure(
            ExposureState.NOT_EXPOSED,
            f"kvm_intel runs with enable_apicv={apicv}: no posted interrupts",
        )
    if mode is TimerMode.TSC_DEADLINE:
        return Exposure(
            ExposureState.UNKNOWN,
            "kvm_intel runs with enable_apicv=Y, but QEMU restores the deadline after the LAPIC: "
            "in TSC-deadline mode the bug should not show",
        )
    if mode is TimerMode.PERIODIC:
        return Exposure(
            ExposureState.UNKNOWN,
            "kvm_intel runs with enable_apicv=Y, but the bug freezes one-shot timers: "
            "a periodic one goes on, and loses a tick at most",
        )
    return Exposure(ExposureState.EXPOSED, "kvm_intel runs with enable_apicv=Y")


def refine(known: Exposure, trace: str | None) -> Exposure:
    """Correct what the parameter says by what the kernel recorded while the guest ticked."""
    if known.state is not ExposureState.EXPOSED or not trace:
        return known
    if "kvm_apicv_accept_irq:" in trace:
        return replace(known, why=known.why + ", and the kernel's trace shows interrupts posted")
    # Its absence means something only where it was listened for.
    listened = "kvm_apicv_accept_irq" in trace.partition("\n")[0]
    if listened and trace.count("kvm_apic_accept_irq:") >= 3:
        return Exposure(
            ExposureState.NOT_EXPOSED,
            known.why + ", but the kernel's trace shows interrupts accepted without APICv: "
            "something inhibits it for this guest",
        )
    return known
