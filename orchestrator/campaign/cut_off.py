"""The result of a trial whose examination was cut off: what is known of it without a look."""

from dataclasses import replace

from orchestrator.findings.cause import Cause, Diagnosis
from orchestrator.findings.evidence import Evidence, VcpuEvidence
from orchestrator.findings.outcome import Outcome, TrialResult, VcpuResult
from orchestrator.findings.save import Save
from orchestrator.trial.examine import Hang
from orchestrator.vm.instance import Instance

#: Ends the words of such a trial.
CUT_OFF = "the run ended before this was examined"


def cut_off(instance: Instance, save: Save, result: TrialResult) -> tuple[TrialResult, Hang]:
    """Return a result that nobody could examine, and the evidence that takes no time to get.

    A silence stays `lost`: the vCPU ran past the limit and QEMU answered. What no look explained
    is `unexplained`.
    """
    odd = [part for part in result.vcpus if not part.outcome.ticked]
    evidence = Evidence(
        failure=CUT_OFF,
        console_tail=instance.console.tail().decode("ascii", "backslashreplace"),
        console_garbled=instance.console.garbled,
        console_dropped_bytes=instance.console.dropped_bytes,
        qmp_log=instance.monitor.log(),
        vcpus=tuple(VcpuEvidence(part.vcpu) for part in odd),
    )
    causes = {
        Outcome.LOST: Cause.UNEXPLAINED,
        Outcome.CRASHED: Cause.QEMU_CRASHED if instance.crash else Cause.GUEST_CRASHED,
    }
    diagnoses = tuple(
        Diagnosis(causes[part.outcome], _sentence(save, part), part.vcpu)
        for part in odd
        if part.outcome in causes
    )
    parts = tuple(
        replace(part, why=f"{part.why}; {CUT_OFF}") if part in odd else part
        for part in result.vcpus
    )
    return replace(result, vcpus=parts), Hang(evidence, diagnoses)


def _sentence(save: Save, part: VcpuResult) -> str:
    return f"After a load of {save.tag}: {part.why}, and {CUT_OFF}."
