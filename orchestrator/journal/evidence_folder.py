"""A folder for each trial that did not plainly tick, with all that was read of it."""

from orchestrator.findings.outcome import TrialResult
from orchestrator.findings.save import Save
from orchestrator.journal.out_folder import OutFolder
from orchestrator.journal.plain import indented, plain
from orchestrator.trial.examine import Hang


def write_evidence(
    folder: OutFolder, cell: str, save: Save, result: TrialResult, hang: Hang
) -> None:
    """Write what was read of a trial's instance, and its diagnoses, into a new folder.

    Args:
        folder: the new folder.
        cell: the id of the cell.
        save: that was loaded.
        result: of the trial.
        hang: the evidence and the diagnoses.

    Raises:
        OSError: a file can't be written.
    """
    seen = {
        "cell": cell, "diagnosis": hang.diagnosis_of(result.telling), "trial": result,
        "save": save, "evidence": hang.evidence,
    }  # fmt: skip
    folder.write("evidence.json", indented(plain(seen)))
    if hang.diagnoses:
        said = (f"{each.cause}\n\n{each.sentence}\n" for each in hang.diagnoses)
        folder.write("diagnosis.txt", "\n".join(said))
    if odd := [part for part in result.vcpus if not part.outcome.ticked and part.why]:
        reasons = (f"vCPU {part.vcpu}: {part.outcome}\n\n{part.why}.\n" for part in odd)
        folder.write("why.txt", "\n".join(reasons))
    folder.write("console.txt", hang.evidence.console_tail)
    if hang.evidence.guest_log:
        folder.write("guest_log.txt", hang.evidence.guest_log)
    if hang.evidence.qemu_stderr:
        folder.write("qemu_stderr.txt", "\n".join(hang.evidence.qemu_stderr) + "\n")
    if hang.evidence.timer_list:
        folder.write("timer_list.txt", hang.evidence.timer_list)
    if hang.evidence.trace:
        folder.write("trace.txt", hang.evidence.trace)
