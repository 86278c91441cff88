"""What a trial that did not plainly tick leaves: evidence of its vCPUs, and what it was."""

from dataclasses import dataclass, replace

from orchestrator.guest.firmware import TimerMode
from orchestrator.trial.diagnosis import Cause, Diagnosis, diagnose, settle
from orchestrator.trial.evidence import Evidence, gather
from orchestrator.trial.limits import Limits
from orchestrator.trial.outcome import Outcome, TrialResult, combine
from orchestrator.trial.save import Save
from orchestrator.vm.machine import Machine

#: Outcomes of which the ticks themselves are the evidence.
_WENT_ON = frozenset({Outcome.MISSED, Outcome.RECOVERED})


@dataclass(frozen=True, slots=True)
class Hang:
    """Evidence, and a diagnosis of each vCPU that was silent."""

    evidence: tuple[Evidence, ...]
    diagnoses: tuple[Diagnosis, ...] = ()

    @property
    def diagnosis(self) -> Diagnosis | None:
        """The one that counts: that of a lost interrupt, if there is one."""
        lost = (each for each in self.diagnoses if each.cause is Cause.LOST_INTERRUPT)
        return next(lost, next(iter(self.diagnoses), None))


async def examine(
    machine: Machine, save: Save, result: TrialResult, limits: Limits, mode: TimerMode
) -> tuple[TrialResult, Hang]:
    """Gather the evidence of an outcome that was not plain ticking, and say what it was.

    Returns:
        The result, as its diagnoses correct it, and the evidence.
    """
    silent = [each for each in result.each if not (each.outcome.ticked or each.outcome in _WENT_ON)]
    evidence = await gather(
        machine, limits, [each.vcpu for each in silent] or [result.vcpu], look=bool(silent)
    )
    settled, diagnoses = {each.vcpu: each for each in result.each}, []
    for each, seen in zip(silent, evidence, strict=False):
        diagnoses.append(diagnose(each, seen, save, mode, limits.period_ns))
        settled[each.vcpu] = settle(each, diagnoses[-1])
    corrected = replace(
        combine(list(settled.values())),
        stale_bytes=result.stale_bytes, duration_ns=result.duration_ns,
    )  # fmt: skip
    return corrected, Hang(tuple(evidence), tuple(diagnoses))
