"""Checks that a booted lab is what its arm's name says, before the first trial."""

from orchestrator.errors import InfraError
from orchestrator.host.facts import HostFacts
from orchestrator.lab.arms import Arm


class ClaimError(InfraError):
    """A booted lab is not what its arm's name says, so that trials in it would be mistaken."""


def check_claims(arm: Arm, facts: HostFacts) -> None:
    """Compare what an arm's name says with what was read in its booted lab.

    Args:
        arm: the arm.
        facts: facts of the lab, with the arm's modules loaded.

    Raises:
        ClaimError: the two differ, or the setting can't be read.
    """
    if facts.kernel != arm.kernel.release:
        raise ClaimError(
            f"{arm.name}: {facts.kernel or 'an unknown kernel'} has booted, not "
            f"{arm.kernel.release}. Was {arm.kernel.image} replaced meanwhile? Run again"
        )
    seen = facts.kvm_modules.get("kvm_intel", {}).get("enable_apicv")
    wanted = f"{arm.name}: kvm_intel was to run with enable_apicv={'NY'[arm.apicv]}"
    if seen is None:
        raise ClaimError(f"{wanted}, and /sys/module/kvm_intel/parameters does not say how it runs")
    if (seen in ("Y", "1")) is arm.apicv:
        return
    given = "the kernel's command line" if arm.kernel.kvm_built_in else "insmod"
    raise ClaimError(f"{wanted}, as {given} said, and runs with enable_apicv={seen}")
