"""What a trial that did not plainly tick leaves: evidence of its vCPUs, and what it was."""

from dataclasses import dataclass, replace

from orchestrator.findings.cause import Cause, Diagnosis
from orchestrator.findings.evidence import Evidence
from orchestrator.findings.outcome import Outcome, TrialResult, VcpuResult, combine, gravity
from orchestrator.findings.save import Save
from orchestrator.trial.diagnosis import diagnose, settle
from orchestrator.trial.gather import gather
from orchestrator.trial.limits import Limits
from orchestrator.vm.instance import Instance

#: Outcomes of which the ticks themselves are the evidence.
_WENT_ON = frozenset({Outcome.MISSED, Outcome.RECOVERED})


@dataclass(frozen=True, slots=True)
class Hang:
    """The evidence of a trial that did not plainly tick, and a diagnosis of each silent vCPU."""

    evidence: Evidence
    diagnoses: tuple[Diagnosis, ...] = ()

    def diagnosis_of(self, vcpu: int) -> Diagnosis | None:
        """Return what a vCPU's silence was; None if it was not silent."""
        return next((each for each in self.diagnoses if each.vcpu == vcpu), None)


async def examine(
    instance: Instance, save: Save, result: TrialResult, limits: Limits
) -> tuple[TrialResult, Hang]:
    """Gather the evidence of an outcome that was not plain ticking, and say what it was.

    Returns:
        The result, as its diagnoses correct it, and the evidence. The result is of the vCPU
        that lost its interrupt as the bug does, if one did; else of one that lost it
        otherwise; else of the gravest.
    """
    parts = result.vcpus
    silent = [each for each in parts if not (each.outcome.ticked or each.outcome in _WENT_ON)]
    subjects = [each.vcpu for each in silent] or [result.telling]
    evidence = await gather(instance, limits, subjects, look=bool(silent))
    settled, diagnoses = {each.vcpu: each for each in parts}, {}
    for each in silent:
        if evidence.of(each.vcpu).unaided and each.outcome is not Outcome.UNKNOWN:
            # that was no proven silence
            settled[each.vcpu] = replace(each, outcome=Outcome.RECOVERED)
            continue
        found = diagnoses[each.vcpu] = diagnose(each, evidence, save, instance.config)
        settled[each.vcpu] = settle(each, found)

    def order(one: VcpuResult) -> tuple[bool, bool, int]:
        found = diagnoses.get(one.vcpu)
        lost = found is not None and found.cause is Cause.LOST_INTERRUPT
        return not (lost and one.ticks_after_load == 0), not lost, gravity(one)

    corrected = replace(
        combine(list(settled.values()), key=order),
        stale_bytes=result.stale_bytes, duration_ns=result.duration_ns,
    )  # fmt: skip
    return corrected, Hang(evidence, tuple(diagnoses.values()))
