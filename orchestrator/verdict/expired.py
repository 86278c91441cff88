"""Saves whose timer ran out between the stop and the save."""

from orchestrator.host.facts import HostFacts
from orchestrator.plan.cell import Cell
from orchestrator.verdict.case import Case, Finding
from orchestrator.vm.config import Accel, IrqChip


def expired_note(case: Case, found: Finding) -> str | None:
    """Return how many saves were expired.

    The kernel's LAPIC keeps running while the guest is stopped. A load of an expired save
    restores a timer whose time is over, which is another case than a timer that runs.
    """
    if not case.expired_saves:
        return None
    expired, saves = case.expired_saves, case.saves
    if saves == 1:
        which = "The only save was"
    elif expired == saves:
        which = f"All {saves} saves were"
    else:
        which = f"{expired} of {saves} saves {'was' if expired == 1 else 'were'}"
    return f"{which} `expired`: the timer ran out between the stop and the save"


def posts_timers(facts: HostFacts, cell: Cell) -> bool:
    """Return whether KVM may post a timer that runs out while the cell's guest is stopped."""
    by_kvm = facts.kvm_modules.get("kvm", {}).get("pi_inject_timer") in ("1", "Y")
    return by_kvm and cell.accel is Accel.KVM and cell.irqchip is not IrqChip.OFF


def posted_note(case: Case, found: Finding) -> str | None:
    """Return what pi_inject_timer does to saves whose timer runs out.

    It lets KVM post a timer's interrupt from the CPU on which the timer fires, if APICv is on.
    Then the interrupt is pending in the save.
    """
    if not case.posts_timers:
        return None
    return (
        "kvm runs with pi_inject_timer=1: a timer that runs out between the stop and the save may "
        "become pending at once, and then the save is not eligible. The phase `expired` may get no "
        "save at all"
    )
