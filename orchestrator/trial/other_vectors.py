"""Interrupts on other vectors than the tick's, by the guest's own counts and by its lines.

The guest counts them in its memory and does not print them, so its lines show nothing of
them. Only of an NMI it prints a line. No load should bring one, and no busy host does.
"""

from collections.abc import Mapping
from dataclasses import replace

from orchestrator.findings.cause import Cause, Diagnosis
from orchestrator.findings.evidence import Evidence
from orchestrator.findings.outcome import GRAVITY, Outcome, TrialResult, VcpuResult, combine
from orchestrator.findings.save import Save, VcpuSave
from orchestrator.guest.state import GuestState
from orchestrator.vm.instance import Instance


def taken_since(
    save: VcpuSave, now: GuestState | VcpuSave, *, own: int = 0, silent: bool = False
) -> str:
    """Return which interrupts came on another vector since a save; empty if none did.

    Args:
        save: the vCPU as it was saved.
        now: its counters now, or in a later save.
        own: interrupts on the control's vector that the built-in control brings itself.
        silent: whether ticks have stopped. Then an interrupt that seemed to be spurious may have
            been a tick: a LAPIC that ends interrupts by itself does not show that it was none.
    """
    said = []
    swallowed, strays = now.swallowed - save.swallowed - own, now.strays - save.strays
    if swallowed > 0:
        said.append(
            f"it took {swallowed} interrupt(s) on the vector of its built-in control, whose "
            "handler only counts and ends them"
        )
    if strays > 0:
        last = f" (the last one on {now.stray})" if now.stray else ""
        said.append(f"it took {strays} interrupt(s) on vectors that it never uses{last}")
    spurious = now.spurious - save.spurious
    if silent and spurious > 0:
        said.append(f"it took {spurious} interrupt(s) on vectors of spurious interrupts")
    return " and ".join(said)


def compare(save: Save, now: Mapping[int, GuestState | VcpuSave]) -> TrialResult | None:
    """Return the result of a guest that has taken such interrupts since a save, if it has.

    Args:
        save: the save. The guest ticked after all of its loads.
        now: the counters of each vCPU later, or a later save of it. Some may not be known.
    """
    parts = [
        VcpuResult(
            Outcome.EXTRA, why=f"ticks went on, but {what}", ticks_after_load=2, vcpu=part.vcpu
        )
        for part in save.vcpus
        if part.vcpu in now and (what := taken_since(part, now[part.vcpu]))
    ]
    return combine(parts) if parts else None


async def explain(
    instance: Instance, save: Save, parts: list[VcpuResult], evidence: Evidence
) -> tuple[list[VcpuResult], list[Diagnosis]]:
    """Read the memory of vCPUs whose ticks went on, and diagnose those with other interrupts.

    Their outcome is at least `extra`: a late tick of theirs is no noise of the host.

    Args:
        instance: has loaded the save.
        save: an ordinary save. In one of the built-in control such interrupts are its own.
        parts: the results of the vCPUs.
        evidence: gets the states that were read.
    """
    found: list[Diagnosis] = []
    corrected: list[VcpuResult] = []
    for part in parts:
        state = await instance.known_state(part.vcpu)
        if state is not None and any(each.vcpu == part.vcpu for each in evidence.vcpus):
            evidence.of(part.vcpu).memory.append(state)
        taken = taken_since(save.vcpus[part.vcpu], state) if state is not None else ""
        if not (taken or part.nmis):
            corrected.append(part)
            continue
        fresh = "" if taken in part.why else taken  # NMIs are in it
        why = "; ".join(filter(None, (part.why, fresh)))
        weaker = part.outcome.ticked or _graver(Outcome.EXTRA, part.outcome)
        outcome = Outcome.EXTRA if weaker else part.outcome
        corrected.append(replace(part, outcome=outcome, why=why, missing_periods=0))
        sentence = f"After a load of {save.tag}: {why}."
        found.append(Diagnosis(Cause.WRONG_VECTOR, sentence, part.vcpu))
    return corrected, found


def _graver(one: Outcome, other: Outcome) -> bool:
    return GRAVITY.index(one) < GRAVITY.index(other)
