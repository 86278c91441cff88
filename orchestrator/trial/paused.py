"""Loads on a virtual host that its own hypervisor may have paused.

Such a host has the hypervisor's clock (kvm-clock, Hyper-V's, Xen's), which stands still in a pause.
The TSC goes on meanwhile, and the guest's with it. A host whose own clock is the TSC has no such
pause: its clock goes on with the guest's.
"""

from dataclasses import replace

from orchestrator.findings.outcome import Outcome, TrialResult, VcpuResult
from orchestrator.vm.instance import Instance


class PausesOfTheHost:
    """Loads of a cell after which a clock was ahead, as after a pause of the host."""

    def __init__(self) -> None:
        self._loads = 0

    def unless_paused(self, instance: Instance, result: TrialResult) -> TrialResult:
        """Return a result, with `unknown` for the first clock that ran ahead of the host's.

        A pause is rare, and meets no second load. A load that makes the TSC jump does it again.
        """
        source = instance.host.facts.clocksource
        if source in (None, "tsc") or not any(_ahead(part) for part in result.vcpus):
            return result
        self._loads += 1
        if self._loads > 1:
            return result
        why = (
            f"the hypervisor below this host may have paused it (its clock source is {source!r}, "
            "which stands still then, and the TSC goes on); a second load that shows this counts"
        )
        parts = (
            replace(part, outcome=Outcome.UNKNOWN, why=f"{why}: {part.why}")
            if _ahead(part)
            else part
            for part in result.vcpus
        )
        return replace(result, vcpus=tuple(parts))


def _ahead(part: VcpuResult) -> bool:
    return part.outcome is Outcome.CLOCK and part.ahead
