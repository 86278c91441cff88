"""Says why a vCPU was silent, from the evidence alone.

Causes that do not depend on the timer are decided here, and the timer reads the guest's
testimonies. That a re-arm brings ticks back is necessary for a lost interrupt and never
sufficient: it revives most of the other cases, too.
"""

from dataclasses import replace

from orchestrator.findings.cause import (
    INTERRUPT_LOST,
    NOT_THE_TICKS,
    STANDS_STILL,
    Cause,
    Diagnosis,
)
from orchestrator.findings.evidence import Evidence, VcpuEvidence
from orchestrator.findings.outcome import Outcome, VcpuResult
from orchestrator.findings.save import Save, VcpuSave
from orchestrator.findings.witness import TraceReading
from orchestrator.guest.lapic import Lapic
from orchestrator.guest.state import Stage
from orchestrator.guest.wait import Wait
from orchestrator.timers.timer import Hearing, Sleep
from orchestrator.trial.cured import explain_cure
from orchestrator.trial.other_vectors import taken_since
from orchestrator.trial.trace import TraceFinding, read_trace
from orchestrator.trial.watch import CRASHED_STATES
from orchestrator.vm.config import InstanceConfig

#: Times as many ticks as the time allows are a storm. A timer that catches up gives fewer.
_STORM = 2

#: Vectors below this are those of a CPU's exceptions. A LAPIC accepts interrupts on half of them.
_EXCEPTIONS = 32


def correct(result: VcpuResult, diagnosis: Diagnosis) -> VcpuResult:
    """Return a vCPU's result as its diagnosis corrects it.

    An interrupt that is proven lost is `lost`, however the wait for it ended, and so is the tick
    of a guest that KVM does not run or that is halted. A storm of ticks is `extra`. A guest whose
    memory is no longer its own has crashed. If only the console or the harness failed, the outcome
    is `unknown`.
    """
    stuck = diagnosis.cause in INTERRUPT_LOST | STANDS_STILL
    if result.outcome is Outcome.UNKNOWN and stuck:
        return replace(result, outcome=Outcome.LOST)
    if diagnosis.cause is Cause.GUEST_CRASHED:
        return replace(result, outcome=Outcome.CRASHED)
    if diagnosis.cause is Cause.STORM:
        return replace(result, outcome=Outcome.EXTRA)
    if result.outcome is Outcome.LOST and diagnosis.cause in NOT_THE_TICKS:
        return replace(result, outcome=Outcome.UNKNOWN)
    return result


def diagnose(
    result: VcpuResult, evidence: Evidence, save: Save, config: InstanceConfig
) -> Diagnosis:
    """Return why a vCPU was silent.

    Args:
        result: the vCPU's result: `lost`, `crashed` or `unknown`.
        evidence: what was read of QEMU and of this vCPU afterwards.
        save: the save that was loaded.
        config: configuration of the instance.
    """
    vcpu, part = result.vcpu, save.vcpus[result.vcpu]
    where = f"vCPU {vcpu}, " if len(save.vcpus) > 1 else ""
    cause, sentence = _decide(result, evidence, part, config)
    where += f"phase {part.phase:.2f}, tick {part.ticks}"
    sentence = f"After a load of {save.tag} ({where}): {sentence}"
    reading = None
    if cause in INTERRUPT_LOST and (traced := _traced(evidence, vcpu, part, config)):
        found, taken = traced
        reading = found.reading(taken)
        sentence += " " + found.sentence(config.program.vector, taken)
        if cause is Cause.LOST_INTERRUPT and reading is TraceReading.NEVER:
            cause = Cause.NOT_STARTED
    return Diagnosis(cause, sentence, vcpu, reading)


def _decide(
    result: VcpuResult, evidence: Evidence, save: VcpuSave, config: InstanceConfig
) -> tuple[Cause, str]:
    if result.outcome is Outcome.CRASHED and evidence.qemu_crash is not None:
        return Cause.QEMU_CRASHED, f"{evidence.qemu_crash}."
    if result.outcome is Outcome.CRASHED and evidence.run_state == "running":
        # Interrupts that the guest's LAPIC would mask can crash a guest that never meets them.
        off = _switched_off(evidence.of(result.vcpu), save)
        if off:
            return Cause.NOT_RESTORED, f"{result.why}; {off}."
        lapic = evidence.of(result.vcpu).lapic
        low = sorted(vector for vector in lapic.isr if vector < _EXCEPTIONS) if lapic else []
        if low:
            return (
                Cause.WRONG_VECTOR,
                f"{result.why}; the LAPIC has vector {low[-1]:#x} in service, on which a CPU "
                "reports an exception: an interrupt came there, and the guest took it for one.",
            )
    if result.outcome is Outcome.CRASHED or evidence.run_state in CRASHED_STATES:
        why = result.why or f"QEMU says the guest is {evidence.run_state!r}."
        # The registers of the vCPU follow the line that names KVM.
        lines = evidence.qemu_stderr
        words = next((line for line in lines if "kvm" in line.lower()), (lines or [""])[-1])
        return Cause.GUEST_CRASHED, f"{why}. QEMU's words: {words}" if words else why
    if evidence.run_state is None:
        return Cause.HARNESS_FAULT, f"{result.why}. {evidence.failure or 'Nothing could be read'}."
    if evidence.run_state != "running":
        said = f"{result.why}; QEMU says that the guest is {evidence.run_state!r}."
        if result.outcome is Outcome.UNKNOWN:  # a failed command left the guest stopped
            return Cause.HARNESS_FAULT, said
        return Cause.VCPU_NOT_RUNNING, said
    part = evidence.of(result.vcpu)
    if part.cured_by:
        if result.outcome is Outcome.UNKNOWN:
            return Cause.HARNESS_FAULT, f"{result.why}; later it ticked on: the host had stalled."
        return explain_cure(result, part, save, config)
    if part.overwritten:
        return (
            Cause.GUEST_CRASHED,
            f"{result.why}; the guest's memory no longer holds its counters: {part.overwritten}.",
        )
    if len(part.memory) == 2:
        ran = part.memory[1].ticks - part.memory[0].ticks
        periods = part.memory_ns / config.guest.period_ns
        if ran > _STORM * (1 + periods):
            return (
                Cause.STORM,
                f"nothing on the console, but the guest's own count in memory went on by {ran} "
                f"ticks in {periods:.2f} periods: they leave it no time to print.",
            )
        if ran > 0:
            return (
                Cause.CONSOLE_DEAD,
                f"nothing on the console, but the guest's own count in memory went on by {ran} "
                "tick(s) meanwhile.",
            )
    # After a load the built-in control swallows one interrupt, its own. KVM takes a one-shot timer
    # that has fired before the save for one that expires at the load.
    own = int(_injected(save))
    came = taken_since(save, part.memory[-1], own=own, silent=True) if part.memory else ""
    if came:
        return Cause.WRONG_VECTOR, f"{result.why}, but {came}."
    sleeps = config.guest.wait is Wait.HALT
    ran_ns = part.advanced_ns
    if not sleeps and ran_ns is not None and ran_ns < config.guest.period_ns / 20:
        halted = part.registers is not None and part.registers.halted
        if halted and not _halted_itself(part):
            return (
                Cause.HALTED,
                f"{result.why}; `info registers` shows HLT=1 and the vCPU used only "
                f"{ran_ns / 1e6:.2f} ms of CPU in two periods, but this guest never halts: "
                "the load left its vCPU halted, and no interrupt woke it.",
            )
        if part.slept and not halted and _stands_still(part):
            return (
                Cause.NOT_EXECUTING,
                f"{result.why}; QEMU answers and its vCPU is not halted, yet the vCPU's thread "
                "sleeps and the guest's busy loop makes no progress: KVM does not run it, as it "
                "would not run a vCPU that still waits for INIT and SIPI.",
            )
        return (
            Cause.VCPU_NOT_RUNNING,
            f"{result.why}; QEMU answers, yet the vCPU used only "
            f"{ran_ns / 1e6:.2f} ms of CPU in two periods"
            + (" (it is halted)." if halted else "."),
        )
    off = _switched_off(part, save)
    if off:
        return Cause.NOT_RESTORED, f"{result.why}; {off}."
    asleep = _explain_sleep(result, evidence, save, config)
    if asleep:
        return asleep
    if _stands_still(part):
        return (
            Cause.NOT_EXECUTING,
            f"{result.why}; QEMU answers and the vCPU's thread {'sleeps' if sleeps else 'runs'}, "
            "yet the guest made no progress between two reads of its memory, and answered no NMI.",
        )
    if not config.program.questions:
        return Cause.UNEXPLAINED, f"{result.why}, and this guest cannot testify."
    if len(part.testimonies) < 2:
        if not evidence.failure and part.registers and not part.registers.interrupt_flag:
            return (
                Cause.NOT_DELIVERABLE,
                f"{result.why}; `info registers` shows the guest at {part.registers.ip:#x} with "
                "interrupts off, and its NMI went unanswered.",
            )
        return (
            Cause.HARNESS_FAULT if evidence.failure else Cause.UNEXPLAINED,
            f"{result.why}, and the guest gave {len(part.testimonies)} of 2 testimonies: "
            f"{evidence.failure or 'its NMI went unanswered'}.",
        )
    hearing = Hearing(
        why=result.why,
        testimonies=part.testimonies,
        vector=config.program.vector,
        tmict=save.tmict,
        lvtt=save.lvtt,
        divide=save.divide,
        progress_per_period=save.progress_per_period,
        rescued=bool(part.rescued),
        deadline=part.memory[-1].deadline if part.memory else save.deadline,
        fired=_fired(part, evidence, save, config),
        lapic=part.lapic,
        slept_periods=_asked_apart(part, config) if sleeps else None,
        interrupts_on=part.registers is not None and part.registers.interrupt_flag,
    )
    return config.timer.explain_silence(hearing)


def _explain_sleep(
    result: VcpuResult, evidence: Evidence, save: VcpuSave, config: InstanceConfig
) -> tuple[Cause, str] | None:
    """Return why an idle vCPU stayed idle; None if its guest can testify, or it is not idle."""
    part = evidence.of(result.vcpu)
    lapic, registers = part.lapic, part.registers
    if config.program.can_testify(config.guest) or lapic is None or registers is None:
        return None
    if not registers.halted:
        return None
    if not registers.interrupt_flag:
        return Cause.NOT_DELIVERABLE, f"{result.why}; the vCPU is halted with interrupts off."
    untouched = [look for look in evidence.looks if not look.rearms]  # SysRq interrupts the sleep
    sleep = Sleep(
        why=result.why,
        vector=config.program.vector,
        saved=Lapic(save.lvtt, save.tmict, frozenset(), frozenset(), divide=save.divide),
        lapic=lapic,
        silent_ns=untouched[-1].ended_ns - evidence.began_ns if untouched else 0,
        slept=part.slept,
        fired=_fired(part, evidence, save, config),
        overdue_ns=config.program.overdue_ns(evidence.timer_list, result.vcpu),
    )
    return config.timer.explain_sleep(sleep)


def _switched_off(part: VcpuEvidence, save: VcpuSave) -> str:
    """Return what `info lapic` shows of a LAPIC that is switched off; empty if it is on."""
    if part.lapic is None or part.lapic.enabled:
        return ""
    now = f"LVTT {part.lapic.lvtt:#x}, TMICT {part.lapic.tmict}"
    if (part.lapic.lvtt, part.lapic.tmict) == (save.lvtt, save.tmict):
        what = f"a LAPIC whose SVR has switched it off, with the timer of the save ({now})"
    else:
        what = (
            f"a LAPIC that is switched off, as after a reset ({now}), where the save had LVTT "
            f"{save.lvtt:#x} and TMICT {save.tmict}: KVM_SET_LAPIC had no effect"
        )
    return f"`info lapic` shows {what}"


def _asked_apart(part: VcpuEvidence, config: InstanceConfig) -> float:
    """Return the time between the requests for the first and the last testimony, in periods."""
    return (part.asked_ns[-1] - part.asked_ns[0]) / config.guest.period_ns


def _injected(save: VcpuSave) -> bool:
    """Return whether the save lies in the built-in control's window, on the vCPU with the loss."""
    return save.stage is Stage.CONTROL_WINDOW


def _swallowed(part: VcpuEvidence, save: VcpuSave) -> int:
    """Return how many interrupts came on the control's vector since the save."""
    return part.memory[-1].swallowed - save.swallowed if part.memory else 0


def _fired(part: VcpuEvidence, evidence: Evidence, save: VcpuSave, config: InstanceConfig) -> bool:
    """Return whether a witness saw the timer fire since the load."""
    if _injected(save):  # the trace would show the control's own vector
        return _swallowed(part, save) > 0 or save.swallowed > 0
    traced = _traced(evidence, part.vcpu, save, config)
    return traced is not None and traced[0].reading(traced[1]) is TraceReading.VANISHED


def _traced(
    evidence: Evidence, vcpu: int, save: VcpuSave, config: InstanceConfig
) -> tuple[TraceFinding, int] | None:
    """Return what the kernel's trace shows, and how many ticks the guest took since the load.

    None without a trace of this timer: under TCG the LAPIC is QEMU's own, and the built-in
    control swallows a tick on a vector of its own.
    """
    memory = evidence.of(vcpu).memory
    if evidence.trace is None or not memory or config.timer_is_qemus or _injected(save):
        return None
    found = read_trace(evidence.trace, config.program.vector, vcpu)
    if save.irr or save.isr:  # the guest takes these without another acceptance
        found = replace(found, partial=True)
    return found, memory[-1].ticks - save.ticks


def _halted_itself(part: VcpuEvidence) -> bool:
    """Return whether the guest's program has given up and halted."""
    return any(state.stage is Stage.HALTED for state in part.memory)


def _stands_still(part: VcpuEvidence) -> bool:
    """Return whether the guest's loop stood still, and no NMI reached the guest."""
    if len(part.memory) != 2 or part.testimonies:
        return False
    first, last = part.memory
    ticking = last.printed == last.ticks and not (first.printing or last.printing)
    return ticking and first.progress == last.progress and last.stage is not Stage.HALTED
