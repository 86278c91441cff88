"""Examines an instance whose trial did not end in plain ticking."""

from dataclasses import dataclass, replace

from orchestrator.findings.cause import INTERRUPT_LOST, Cause, Diagnosis
from orchestrator.findings.evidence import Evidence
from orchestrator.findings.outcome import (
    GRAVITY,
    Outcome,
    TrialResult,
    VcpuResult,
    combine,
    gravity,
)
from orchestrator.findings.save import Save
from orchestrator.trial.diagnosis import correct, diagnose
from orchestrator.trial.gather import gather
from orchestrator.trial.limits import Limits
from orchestrator.trial.other_vectors import explain
from orchestrator.vm.instance import Instance

#: Outcomes that need no look at the guest: its ticks are the evidence.
_WENT_ON = frozenset(GRAVITY) - {Outcome.LOST, Outcome.CRASHED, Outcome.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Hang:
    """The evidence of a trial that did not plainly tick, and a diagnosis of each vCPU that has one.

    Silent vCPUs do, and those that took other interrupts or do not run the saved state.
    """

    evidence: Evidence
    diagnoses: tuple[Diagnosis, ...] = ()

    def diagnosis_of(self, vcpu: int) -> Diagnosis | None:
        """Return why a vCPU was silent; None if it was not."""
        return next((each for each in self.diagnoses if each.vcpu == vcpu), None)


async def examine(
    instance: Instance, save: Save, result: TrialResult, limits: Limits
) -> tuple[TrialResult, Hang]:
    """Gather the evidence of a trial that did not end in plain ticking, and diagnose it.

    Returns:
        The result as its diagnoses correct it, and the evidence. The telling vCPU is one
        that lost its first interrupt after the load, if there is one; else one that lost a
        later interrupt; else the vCPU with the gravest outcome.
    """
    parts = result.vcpus
    silent = [each for each in parts if not (each.outcome.ticked or each.outcome in _WENT_ON)]
    subjects = [each.vcpu for each in silent] or [result.telling]
    evidence = await gather(instance, limits, subjects, look=bool(silent))
    corrected: dict[int, VcpuResult] = {each.vcpu: each for each in parts}
    diagnoses: dict[int, Diagnosis] = {}
    if not (silent or save.control):
        told, found_in = await explain(instance, save, list(parts), evidence)
        corrected |= {each.vcpu: each for each in told}
        diagnoses |= {each.vcpu: each for each in found_in}
        diagnoses |= {
            each.vcpu: Diagnosis(Cause.NO_EFFECT, f"At {save.tag}: {each.why}.", each.vcpu)
            for each in parts
            if each.outcome is Outcome.NOT_LOADED
        }
    for each in silent:
        if evidence.of(each.vcpu).unaided and each.outcome is Outcome.LOST:
            # It ticked before anybody looked: the silence was not proven.
            corrected[each.vcpu] = replace(each, outcome=Outcome.RECOVERED)
            continue
        found = diagnoses[each.vcpu] = diagnose(each, evidence, save, instance.config)
        corrected[each.vcpu] = correct(each, found)

    def order(one: VcpuResult) -> tuple[bool, bool, int]:
        found = diagnoses.get(one.vcpu)
        lost = found is not None and found.cause in INTERRUPT_LOST
        return not (lost and one.ticks_after_load == 0), not lost, gravity(one)

    whole = replace(
        combine(list(corrected.values()), key=order),
        stale_bytes=result.stale_bytes, duration_ns=result.duration_ns,
        began_ns=result.began_ns, resumed_ns=result.resumed_ns,
    )  # fmt: skip
    return whole, Hang(evidence, tuple(diagnoses.values()))
