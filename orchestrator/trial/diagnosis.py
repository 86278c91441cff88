"""Says what a hang was, from the evidence alone.

A lost one-shot interrupt is: the initial count as programmed, the current count
zero in two testimonies more than a period apart, LVTT unmasked with the tick
vector, IF set, nothing in IRR or ISR, one arming more than ticks, and ticks that
resume after a re-arm. Re-arming is necessary and never sufficient: it revives
most of the other cases, too.
"""

from dataclasses import replace

from orchestrator.findings.cause import NOT_THE_TICKS, Cause, Diagnosis
from orchestrator.findings.evidence import Evidence, VcpuEvidence
from orchestrator.findings.outcome import Outcome, VcpuResult
from orchestrator.findings.save import Save, VcpuSave
from orchestrator.guest.lapic import LVT_MASKED
from orchestrator.guest.tick.config import TICK_VECTOR
from orchestrator.guest.tick.lines import Testimony
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.trial.trace import read_trace
from orchestrator.trial.watch import CRASHED_STATES

_TICK_BIT = 1 << (TICK_VECTOR & 31)


def settle(result: VcpuResult, diagnosis: Diagnosis) -> VcpuResult:
    """Return a vCPU's result as its diagnosis corrects it.

    An interrupt that is proven lost is lost, however the wait for it ended; and where
    only console or harness failed, nothing is known of the ticks.
    """
    if result.outcome is Outcome.UNKNOWN and diagnosis.cause is Cause.LOST_INTERRUPT:
        return replace(result, outcome=Outcome.LOST)
    if result.outcome is Outcome.LOST and diagnosis.cause in NOT_THE_TICKS:
        return replace(result, outcome=Outcome.UNKNOWN)
    return result


def diagnose(
    result: VcpuResult, evidence: Evidence, save: Save, mode: TimerMode, period_ns: int
) -> Diagnosis:
    """Decide what a vCPU's silence was.

    Args:
        result: what the vCPU did: `lost`, `crashed` or `unknown`.
        evidence: what was read of the machine and of this vCPU after that.
        save: the save that was loaded.
        mode: the guest's timer mode.
        period_ns: the guest's period.
    """
    vcpu, part = result.vcpu, save.vcpus[result.vcpu]
    where = f"vCPU {vcpu}, " if len(save.vcpus) > 1 else ""
    cause, sentence = _decide(result, evidence, part, mode, period_ns)
    where += f"phase {part.phase:.2f}, tick {part.ticks}"
    sentence = f"After a load of {save.tag} ({where}): {sentence}"
    if cause is Cause.LOST_INTERRUPT and evidence.trace is not None:
        sentence += " " + read_trace(evidence.trace, TICK_VECTOR, vcpu).sentence(TICK_VECTOR)
    return Diagnosis(cause, sentence, vcpu)


def _decide(
    result: VcpuResult, evidence: Evidence, save: VcpuSave, mode: TimerMode, period_ns: int
) -> tuple[Cause, str]:
    if result.outcome is Outcome.CRASHED or evidence.run_state in CRASHED_STATES:
        return Cause.GUEST_CRASHED, result.why or f"QEMU says the guest is {evidence.run_state!r}."
    if evidence.run_state is None:
        return Cause.HARNESS_FAULT, f"{result.why}. {evidence.failure or 'Nothing could be read'}."
    if evidence.run_state != "running":
        said = f"{result.why}; QEMU says that the guest is {evidence.run_state!r}."
        if result.outcome is Outcome.UNKNOWN:  # a command failed, and left it so
            return Cause.HARNESS_FAULT, said
        return Cause.VCPU_NOT_RUNNING, said
    part = evidence.of(result.vcpu)
    if part.cured_by:
        if result.outcome is Outcome.UNKNOWN:
            return Cause.HARNESS_FAULT, f"{result.why}; later it ticked on: the host had stalled."
        return (
            Cause.PENDING,
            f"{result.why}; ticks came back at {part.cured_by}, which only looked: an "
            "interrupt was pending and had not been delivered.",
        )
    if len(part.memory) == 2:
        ran = part.memory[1].ticks - part.memory[0].ticks
        if ran > 0:
            return (
                Cause.CONSOLE_DEAD,
                f"nothing on the console, but the guest's own count in memory went on by {ran} "
                "tick(s) meanwhile.",
            )
    if part.advanced_ns is not None and part.advanced_ns < period_ns / 20:
        halted = part.registers is not None and part.registers.halted
        return (
            Cause.VCPU_NOT_RUNNING,
            f"{result.why}; QEMU answers, yet the vCPU used only "
            f"{part.advanced_ns / 1e6:.2f} ms of CPU in two periods"
            + (" (it is halted)." if halted else "."),
        )
    if len(part.testimonies) < 2:
        return (
            Cause.HARNESS_FAULT if evidence.failure else Cause.UNEXPLAINED,
            f"{result.why}, and the guest gave {len(part.testimonies)} of 2 testimonies: "
            f"{evidence.failure or 'its NMI went unanswered'}.",
        )
    return _judge(result, part, save, mode)


def _judge(
    result: VcpuResult, evidence: VcpuEvidence, save: VcpuSave, mode: TimerMode
) -> tuple[Cause, str]:
    """Decide from what the guest itself testified."""
    first, last = evidence.testimonies[0], evidence.testimonies[-1]
    for testimony in (first, last):
        hindered = _hindrance(testimony)
        if hindered:
            cause, what = hindered
            return cause, f"{what}: {_read_out(testimony, mode)}."
    read = _read_out(last, mode)
    deadline = mode is TimerMode.TSC_DEADLINE
    if last.arms == last.ticks:
        return Cause.NOT_REARMED, f"the guest took its last tick and did not arm another: {read}."
    if not deadline and {first.tmict, last.tmict} != {save.tmict}:
        return (
            Cause.NOT_RESTORED,
            f"the guest armed its timer (TMICT was {save.tmict} in the save), and now TMICT is "
            f"{last.tmict}: {read}.",
        )
    apart = (last.spins - first.spins) / save.spins_per_period
    running = any(t.deadline if deadline else t.tmcct for t in (first, last))
    if running or apart <= 1 or last.arms != last.ticks + 1 or mode is TimerMode.PERIODIC:
        return (
            Cause.UNEXPLAINED,
            f"{result.why}, but the testimonies, {apart:.1f} periods apart, fit no known cause: "
            f"{read}.",
        )
    if not evidence.rescued:
        return (
            Cause.UNEXPLAINED,
            f"{result.why}; the timer reads as expired, yet a re-arm did not bring ticks back: "
            f"{read}.",
        )
    name = "TSC-deadline" if deadline else "one-shot"
    return (
        Cause.LOST_INTERRUPT,
        f"the {name} LAPIC timer expired and its interrupt never reached the guest: {result.why}, "
        f"and in two testimonies {apart:.1f} periods apart the timer stands expired, unmasked, "
        f"with nothing pending or in service and interrupts on ({read}); a re-arm brought ticks "
        "back.",
    )


def _hindrance(t: Testimony) -> tuple[Cause, str] | None:
    """Return what keeps a pending tick from the guest, or that nothing does and it is pending."""
    if t.lvtt & LVT_MASKED or t.lvtt & 0xFF != TICK_VECTOR:
        return Cause.NOT_DELIVERABLE, "the timer's LVTT is masked or has another vector"
    if not t.interrupt_flag:
        return Cause.NOT_DELIVERABLE, "the guest runs with interrupts off"
    if t.isr & _TICK_BIT or (t.ppr >> 4) >= TICK_VECTOR >> 4:
        return Cause.NOT_DELIVERABLE, "the priority of the processor holds the tick back"
    if t.irr & _TICK_BIT:
        return (
            Cause.PENDING,
            "the tick vector is in the IRR, nothing holds it back, and yet it is not delivered",
        )
    return None


def _read_out(testimony: Testimony, mode: TimerMode) -> str:
    t = testimony
    timer = (
        f"deadline {t.deadline:#x}"
        if mode is TimerMode.TSC_DEADLINE
        else f"TMICT {t.tmict}, TMCCT {t.tmcct}"
    )
    return (
        f"LVTT {t.lvtt:#x}, {timer}, IRR[2] {t.irr:#x}, ISR[2] {t.isr:#x}, PPR {t.ppr:#x}, "
        f"IF {int(t.interrupt_flag)}, {t.ticks} ticks, {t.arms} arms"
    )
