"""Exposure: whether a host could show a known bug at all.

The bug needs posted interrupts: an Intel host with APICv in use. The answer comes from
APICv as it is, by the module's parameter and by the kernel's tracepoints, never from a
version number.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.bugs.catalogue import APICV_BUG, STALE_TPR
from orchestrator.bugs.hyperv import INHIBITING, enlightenments, ticks_by_stimer
from orchestrator.bugs.known_bug import KnownBug
from orchestrator.guest.saved_state import SavedState
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
    INTEL = "intel"
    """The bug strikes only AMD hosts."""
    NO_PARAMETERS = "no-parameters"
    NO_APICV_PARAMETER = "no-apicv-parameter"
    APICV_OFF = "apicv-off"
    APICV_ON = "apicv-on"
    APICV_SEEN = "apicv-seen"
    """The kernel's trace shows posted interrupts."""
    APICV_INHIBITED = "apicv-inhibited"
    """The parameter is on, but the kernel's trace shows no posted interrupts."""
    AVIC_INHIBITED = "avic-inhibited"
    """AVIC is on, but KVM does not use it for a guest with this irqchip."""
    ANY_HOST = "any-host"
    """The bug needs nothing of the host."""
    ENLIGHTENED = "enlightened"
    """APICv is on, but a Hyper-V enlightenment of the guest may inhibit it."""
    SAVED_STATE = "saved-state"
    """The bug cannot show from the state of the LAPIC in the saves."""
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
    timer: str | None,
    irqchip: IrqChip = IrqChip.ON,
    bug: KnownBug = APICV_BUG,
    cpu: str = "",
    state: SavedState = SavedState.ARMED,
) -> Exposure:
    """Return whether guests on this host could be struck by a known bug.

    Hyper-V enlightenments of the guest's CPU model are named in the reason.

    Args:
        facts: the host.
        accel: the accelerator that runs the guest.
        timer: the timer by which the guest ticks; None to ask of the host alone.
        irqchip: where KVM has the guest's interrupt controllers.
        bug: the bug.
        cpu: the guest's CPU model with its features, as QEMU's `-cpu` takes it.
        state: the state of the LAPIC in the saves.
    """
    if bug.needs.module is None:
        return Exposure(ExposureState.EXPOSED, "any host could show it", Reason.ANY_HOST)
    known = (
        _spared_by_lapic(accel, irqchip)
        or _spared_by_module(facts, irqchip, bug)
        or _spared_by_parameter(facts, bug)
        or _spared_by_irqchip(irqchip, bug)
        or _spared_by_timer(facts, timer, bug)
        or _spared_by_state(facts, state, bug)
        or Exposure(ExposureState.EXPOSED, _runs_with(facts, bug), Reason.APICV_ON)
    )
    return _enlightened(known, enlightenments(cpu), tested=ticks_by_stimer(timer))


def _enlightened(known: Exposure, names: Sequence[str], *, tested: bool) -> Exposure:
    """Return what the guest's Hyper-V enlightenments leave of an answer.

    Args:
        known: the answer without them.
        names: the enlightenments.
        tested: whether the guest ticks by the hv-stimer itself.
    """
    if not names:
        return known
    why = f"{known.why}; the CPU model has the Hyper-V enlightenments {', '.join(names)}"
    if known.state is ExposureState.EXPOSED and INHIBITING & set(names):
        return Exposure(
            ExposureState.UNKNOWN,
            f"{why}, with which KVM may inhibit APICv for this guest (always before kernel 5.15)",
            Reason.ENLIGHTENED,
        )
    if not tested:
        why += ": a Windows guest would tick by the hv-stimer, which was not tested"
    return replace(known, why=why)


def _spared_by_lapic(accel: Accel, irqchip: IrqChip) -> Exposure | None:
    if accel is Accel.TCG:
        return Exposure(
            ExposureState.NOT_EXPOSED,
            "under TCG a guest has QEMU's own LAPIC: no KVM_SET_LAPIC, no posted interrupts",
            Reason.TCG,
        )
    if irqchip is IrqChip.OFF:
        return Exposure(
            ExposureState.NOT_EXPOSED,
            "with the irqchip off the LAPIC is QEMU's own: no KVM_SET_LAPIC, no posted interrupts",
            Reason.IRQCHIP_OFF,
        )
    return None


def _spared_by_module(facts: HostFacts, irqchip: IrqChip, bug: KnownBug) -> Exposure | None:
    modules, module = facts.kvm_modules, bug.needs.module
    if module in modules:
        return None
    if "kvm_pvm" in modules:
        return Exposure(
            ExposureState.NOT_EXPOSED,
            "KVM runs on its paravirtual back end (kvm_pvm), which has no "
            + ("AVIC" if module == "kvm_amd" else "APICv"),
            Reason.PARAVIRTUAL_KVM,
        )
    if "kvm_amd" in modules:
        commit = STALE_TPR.fixed_by.partition(" ")[0]
        other = f"AVIC has a bug of its own, the {STALE_TPR.name} (fixed by {commit})"
        tested = (
            "which this irqchip=split can show"
            if irqchip is IrqChip.SPLIT
            else "which shows only with irqchip=split"
        )
        return Exposure(
            ExposureState.NOT_EXPOSED,
            f"an AMD host: the {bug.name} strikes kvm_intel only; {other}, {tested}",
            Reason.AMD,
        )
    if "kvm_intel" in modules:
        return Exposure(
            ExposureState.NOT_EXPOSED,
            f"an Intel host: the {bug.name} is a bug of {module}",
            Reason.INTEL,
        )
    return Exposure(
        ExposureState.UNKNOWN, f"{module}'s parameters can't be read", Reason.NO_PARAMETERS
    )


def _spared_by_parameter(facts: HostFacts, bug: KnownBug) -> Exposure | None:
    module, parameter = bug.needs.module, bug.needs.parameter
    if module is None or parameter is None:
        return None
    value = facts.kvm_modules[module].get(parameter)
    if value is None:
        return Exposure(
            ExposureState.UNKNOWN,
            f"{module} has no readable parameter {parameter} "
            f"(/sys/module/{module}/parameters/{parameter})",
            Reason.NO_APICV_PARAMETER,
        )
    if value not in ("Y", "1"):
        return Exposure(
            ExposureState.NOT_EXPOSED,
            f"{module} runs with {parameter}={value}: {bug.needs.without}",
            Reason.APICV_OFF,
        )
    return None


def _spared_by_irqchip(irqchip: IrqChip, bug: KnownBug) -> Exposure | None:
    if not bug.needs.split_irqchip or irqchip is IrqChip.SPLIT:
        return None
    return Exposure(
        ExposureState.NOT_EXPOSED,
        "KVM uses AVIC only with irqchip=split: its own PIT inhibits AVIC",
        Reason.AVIC_INHIBITED,
    )


def _spared_by_timer(facts: HostFacts, timer: str | None, bug: KnownBug) -> Exposure | None:
    if timer is None or bug.strikes(timer):
        return None
    of = " and ".join(sorted(bug.signature.timers))
    why = bug.spared.get(timer, f"the bug is known of {of} timers: nothing is known of {timer}")
    return Exposure(
        ExposureState.UNKNOWN, f"{_runs_with(facts, bug)}, but {why}", Reason.OTHER_TIMER
    )


def _spared_by_state(facts: HostFacts, state: SavedState, bug: KnownBug) -> Exposure | None:
    why = bug.spared_states.get(state)
    if why is None:
        return None
    return Exposure(
        ExposureState.NOT_EXPOSED,
        f"{_runs_with(facts, bug)}, but with state={state} {why}",
        Reason.SAVED_STATE,
    )


def _runs_with(facts: HostFacts, bug: KnownBug) -> str:
    return f"{bug.needs.module} runs with {bug.needs.parameter}=Y"


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
    open_to_doubt = known.state is ExposureState.EXPOSED or known.reason is Reason.ENLIGHTENED
    if not open_to_doubt or seen is None:
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
