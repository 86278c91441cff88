"""Exposure: whether a host could show a known bug at all.

The bug needs posted interrupts: an Intel host with APICv in use. The answer comes from
APICv as it is, by the module's parameter and by the kernel's tracepoints, never from a
version number.
"""

import enum
from dataclasses import dataclass

from orchestrator.bugs.catalogue import APICV_BUG, KnownBug
from orchestrator.host.facts import HostFacts
from orchestrator.vm.config import Accel, IrqChip


class ExposureState(enum.StrEnum):
    """Could this host show the bug?"""

    EXPOSED = "exposed"
    NOT_EXPOSED = "not-exposed"
    UNKNOWN = "unknown"


class Reason(enum.StrEnum):
    """The reason for the answer."""

    NOT_EXAMINED = "not-examined"
    NO_KVM = "no-kvm"
    TCG = "tcg"
    IRQCHIP_OFF = "irqchip-off"
    PARAVIRTUAL_KVM = "paravirtual-kvm"
    AMD = "amd"
    NO_PARAMETERS = "no-parameters"
    NO_APICV_PARAMETER = "no-apicv-parameter"
    APICV_OFF = "apicv-off"
    APICV_ON = "apicv-on"
    APICV_SEEN = "apicv-seen"
    """The kernel's trace shows posted interrupts."""
    APICV_INHIBITED = "apicv-inhibited"
    """The parameter is on, but the kernel's trace shows no posted interrupts."""
    OTHER_TIMER = "other-timer"
    """The bug strikes another timer than the guest's."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """The answer, with its reason."""

    state: ExposureState
    why: str
    """The reason in words."""
    reason: Reason = Reason.NOT_EXAMINED


def exposure(
    facts: HostFacts,
    accel: Accel,
    timer: str,
    irqchip: IrqChip = IrqChip.ON,
    bug: KnownBug = APICV_BUG,
) -> Exposure:
    """Return whether guests on this host could be struck by a known bug.

    Args:
        facts: the host.
        accel: the accelerator that runs the guest.
        timer: the timer by which the guest ticks.
        irqchip: where KVM has the guest's interrupt controllers.
        bug: the bug.
    """
    not_exposed, unknown = ExposureState.NOT_EXPOSED, ExposureState.UNKNOWN
    if accel is Accel.TCG:
        return Exposure(
            not_exposed,
            "TCG has a LAPIC of its own: no KVM_SET_LAPIC, no posted interrupts",
            Reason.TCG,
        )
    if irqchip is IrqChip.OFF:
        return Exposure(
            not_exposed,
            "with the irqchip off the LAPIC is QEMU's own: no KVM_SET_LAPIC, no posted interrupts",
            Reason.IRQCHIP_OFF,
        )
    modules = facts.kvm_modules
    if "kvm_pvm" in modules and "kvm_intel" not in modules:
        return Exposure(
            not_exposed,
            "KVM runs on its paravirtual back end (kvm_pvm), which has no APICv",
            Reason.PARAVIRTUAL_KVM,
        )
    if "kvm_amd" in modules:
        return Exposure(
            not_exposed,
            "an AMD host: AVIC keeps pending interrupts in the IRR and is immune",
            Reason.AMD,
        )
    if "kvm_intel" not in modules:
        return Exposure(unknown, "kvm_intel's parameters can't be read", Reason.NO_PARAMETERS)
    apicv = modules["kvm_intel"].get("enable_apicv")
    if apicv is None:
        return Exposure(
            unknown,
            "kvm_intel has no readable parameter enable_apicv "
            "(/sys/module/kvm_intel/parameters/enable_apicv)",
            Reason.NO_APICV_PARAMETER,
        )
    if apicv not in ("Y", "1"):
        return Exposure(
            not_exposed,
            f"kvm_intel runs with enable_apicv={apicv}: no posted interrupts",
            Reason.APICV_OFF,
        )
    if not bug.strikes(timer):
        why = bug.spared.get(
            timer, f"the bug is known of {bug.timer} timers: nothing is known of {timer}"
        )
        return Exposure(
            unknown, f"kvm_intel runs with enable_apicv=Y, but {why}", Reason.OTHER_TIMER
        )
    return Exposure(ExposureState.EXPOSED, "kvm_intel runs with enable_apicv=Y", Reason.APICV_ON)


@dataclass(frozen=True, slots=True)
class ApicvTrace:
    """The interrupts that the kernel's tracepoints showed while a guest ticked."""

    listened: bool
    """True if the trace would have shown interrupts accepted through APICv."""
    posted: int
    """Interrupts accepted through APICv."""
    accepted: int
    """Interrupts accepted without it."""


def read_apicv(trace: str) -> ApicvTrace:
    """Return what the text of a trace shows of APICv. Its first line names the events."""
    return ApicvTrace(
        listened="kvm_apicv_accept_irq" in trace.partition("\n")[0],
        posted=trace.count("kvm_apicv_accept_irq:"),
        accepted=trace.count("kvm_apic_accept_irq:"),
    )


def refine(known: Exposure, seen: ApicvTrace | None) -> Exposure:
    """Correct what the parameter says by what the kernel recorded while the guest ticked."""
    if known.state is not ExposureState.EXPOSED or seen is None:
        return known
    if seen.posted:
        return Exposure(
            ExposureState.EXPOSED,
            known.why + ", and the kernel's trace shows interrupts posted",
            Reason.APICV_SEEN,
        )
    # The event's absence means something only where the trace listened for it.
    if seen.listened and seen.accepted >= 3:
        return Exposure(
            ExposureState.NOT_EXPOSED,
            known.why + ", but the kernel's trace shows interrupts accepted without APICv: "
            "something inhibits it for this guest",
            Reason.APICV_INHIBITED,
        )
    return known
