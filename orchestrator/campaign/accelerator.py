"""The accelerator that `auto` means on a host."""

from collections.abc import Callable

from orchestrator.host.facts import HostFacts
from orchestrator.host.kvm_access import ABSENT, check_device
from orchestrator.plan.plan import Plan
from orchestrator.vm.config import Accel

#: A run says this before its first cell if `auto` means TCG.
UNDER_TCG = "There is no KVM here (no /dev/kvm), so this runs under TCG and tests QEMU's own LAPIC."


def auto_accel(facts: HostFacts) -> Accel:
    """Return KVM if the host has it, else TCG.

    A KVM that does not work is no reason for TCG: its cells fail, and say why.

    Raises:
        KvmMissingError: the host has KVM, but this user has no access to it.
    """
    if facts.kvm_device == ABSENT:
        return Accel.TCG
    check_device(facts)
    return Accel.KVM


def open_accel(plan: Plan, facts: HostFacts, say: Callable[[str], None]) -> Accel:
    """Return what the accelerator `auto` means for a plan on a host, and say if it is TCG.

    Raises:
        KvmMissingError: the plan leaves the accelerator open, and there is KVM, which can't be
            used.
    """
    if not plan.leaves_accel_open:
        return Accel.TCG
    auto = auto_accel(facts)
    if auto is Accel.TCG:
        say(UNDER_TCG)
    return auto
