"""Asks the kernel's trace whether a load moved a vCPU's TSC offset.

The TSC of a guest is the host's TSC plus this offset. After a load, either answer may be right: KVM
keeps the offset if it takes the TSC that is restored for an attempt to synchronise the vCPUs.
"""

from orchestrator.host.facts import HostFacts
from orchestrator.trial.trace import tsc_moved
from orchestrator.vm.instance import Instance

#: Modules whose guests read the TSC with its offset. Another KVM may hand guests the host's own.
_OFFSETS_IN_HARDWARE = frozenset({"kvm_intel", "kvm_amd"})


def offsets_in_hardware(facts: HostFacts) -> bool:
    """Return whether guests on KVM surely read the TSC that KVM itself takes for theirs."""
    return bool(_OFFSETS_IN_HARDWARE & facts.kvm_modules.keys())


async def moved_by_load(instance: Instance, vcpu: int) -> int | None:
    """Return by how many cycles the last load moved a vCPU's TSC offset.

    None if there is no trace, or if the trace does not tell.
    """
    tracer, facts = instance.process.tracer, instance.host.facts
    if tracer is None or not offsets_in_hardware(facts):
        return None
    return tsc_moved(await tracer.read(), vcpu)
