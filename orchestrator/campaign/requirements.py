"""The requirements of a plan that the host must meet."""

from collections.abc import Sequence

from orchestrator.bugs.exposure import ExposureState, exposure
from orchestrator.errors import UnfitError
from orchestrator.host.facts import HostFacts
from orchestrator.host.kvm_access import KvmMissingError, check_kvm
from orchestrator.plan.cell import Cell
from orchestrator.plan.choices import Requirement
from orchestrator.plan.plan import Plan
from orchestrator.vm.config import Accel


class RequirementError(UnfitError):
    """The host lacks what the plan requires."""


def _require_kvm(cells: Sequence[Cell], facts: HostFacts) -> None:
    """Check that guests run under KVM here.

    Raises:
        RequirementError: KVM can't be used, or no cell uses it.
    """
    try:
        check_kvm(facts)
    except KvmMissingError as error:
        raise RequirementError(f"KVM is required: {error}") from error
    if not any(cell.accel is Accel.KVM for cell in cells):
        raise RequirementError(
            "KVM is required, and no cell runs under KVM: leave out --accel tcg, or --require kvm"
        )


def require(plan: Plan, cells: Sequence[Cell], facts: HostFacts) -> None:
    """Check that the host has what a plan requires.

    Raises:
        RequirementError: the host lacks it.
    """
    if Requirement.KVM in plan.require:
        _require_kvm(cells, facts)
    if Requirement.APICV not in plan.require:
        return
    for cell in cells:
        # The requirement is about the host, whatever timer the cell uses.
        exposed = exposure(facts, cell.accel, None, cell.irqchip)
        if exposed.state is not ExposureState.EXPOSED:
            raise RequirementError(
                f"APICv is required, and this host's {cell.accel} is {exposed.state} "
                f"({cell.id}): {exposed.why}. Run it on an Intel host with kvm_intel's "
                "enable_apicv=Y, or without --require apicv."
            )
