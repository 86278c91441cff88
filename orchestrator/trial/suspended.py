"""Trials on a host that was suspended (suspend-to-RAM, suspend-to-idle) since QEMU was started.

The host's monotonic clock stands still meanwhile. The TSC goes on, or begins anew, and with it
the clocks of the guest: what they show against the host's time is no fault of a load.
"""

from dataclasses import replace

from orchestrator.findings.outcome import Outcome, TrialResult
from orchestrator.vm.instance import Instance

#: The two clocks that tell of a suspension are read one after the other, on a host that may be
#: busy. A shorter suspension is not known.
LEAST_NS = 200_000_000

#: Outcomes that do not come from a comparison with the host's time.
_TIMELESS = frozenset({Outcome.CRASHED, Outcome.NOT_LOADED, Outcome.UNKNOWN})


def unless_suspended(instance: Instance, result: TrialResult) -> TrialResult:
    """Return a result, with `unknown` for an outcome that a suspension of the host may explain."""
    slept_ns = instance.clock.suspended_ns() - instance.suspended_ns
    if slept_ns < LEAST_NS or result.outcome.ticked:
        return result
    why = f"the host was suspended for {slept_ns / 1e9:.1f} s since this QEMU was started"
    return replace(
        result,
        vcpus=tuple(
            part
            if part.outcome.ticked or part.outcome in _TIMELESS
            else replace(part, outcome=Outcome.UNKNOWN, why=f"{why}: {part.why}")
            for part in result.vcpus
        ),
    )
