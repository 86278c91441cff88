"""Says what it means that ticks came back while a silent vCPU was looked at.

A vCPU that leaves guest mode reads its pending interrupts anew, so a look can bring a tick that
was pending. A timer that is only late ticks at some look, too.
"""

from orchestrator.findings.cause import Cause
from orchestrator.findings.evidence import VcpuEvidence
from orchestrator.findings.outcome import VcpuResult
from orchestrator.findings.save import VcpuSave
from orchestrator.guest.lapic import redivided
from orchestrator.vm.config import InstanceConfig


def explain_cure(
    result: VcpuResult, part: VcpuEvidence, save: VcpuSave, config: InstanceConfig
) -> tuple[Cause, str]:
    """Return the cause of a silence that ended at a look which re-arms nothing, and a sentence.

    Args:
        result: the vCPU's result.
        part: what was read of the vCPU, and which look it was.
        save: the vCPU as it was saved.
        config: configuration of the instance.
    """
    why = f"{result.why}; ticks came back at {part.cured_by}, which only looked"
    shown = part.lapic or part.cured_lapic
    changed = redivided(save.divide, shown) if shown else ""
    if changed:
        return Cause.NOT_RESTORED, f"{why}. `info lapic` shows why the timer is late: {changed}."
    registers = part.registers
    if registers is not None and registers.halted and not registers.interrupt_flag:
        return (
            Cause.NOT_DELIVERABLE,
            f"{why}: the vCPU was halted with interrupts off, and the look ended that.",
        )
    seen = _seen_pending(part, config)
    if seen:
        return (
            Cause.PENDING,
            f"{why}: an interrupt was pending and had not been delivered. {seen}",
        )
    read = "`info lapic` did not show" if part.lapic else "nobody had read the IRR to see"
    return (
        Cause.CAME_BACK,
        f"{why}, and {read} the tick ({config.program.vector:#x}) pending: the look may have "
        "brought it, or the timer was late.",
    )


def _seen_pending(part: VcpuEvidence, config: InstanceConfig) -> str:
    """Return who saw the tick in the IRR while the guest was silent; empty if nobody did."""
    lapic, registers, vector = part.lapic, part.registers, config.program.vector
    if lapic is None or vector not in lapic.irr:
        if any(vector in each.pending(vector) for each in part.testimonies):
            return f"The guest itself read the tick ({vector:#x}) in the IRR."
        return ""
    said = f"`info lapic` shows the tick ({vector:#x}) in the IRR"
    if registers is None:
        return f"{said}."
    return (
        f"{said}, and `info registers` a vCPU with HLT={registers.halted:d}, "
        f"interrupts {'on' if registers.interrupt_flag else 'off'}."
    )
