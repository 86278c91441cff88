"""Finds what loads have left behind in a guest that ticks on. None of its ticks shows it."""

from orchestrator.findings.outcome import TrialResult
from orchestrator.findings.save import Save
from orchestrator.qmp.errors import MonitorError
from orchestrator.trial import kvmclock_rate, other_setting, other_vectors
from orchestrator.trial.look import look
from orchestrator.trial.pace import Paces
from orchestrator.trial.reset import reset_since
from orchestrator.trial.suspended import unless_suspended
from orchestrator.vm.instance import Instance


def compare(instance: Instance, save: Save, later: Save) -> TrialResult | None:
    """Return what a later save shows of the loads of a save; None if it shows nothing.

    The guest ticked after all these loads, so this is one more trial of that save.
    """
    now = {part.vcpu: part for part in later.vcpus}
    return (
        reset_since(save, now)
        or other_vectors.compare(save, now)
        or other_setting.compare(save, now, instance.config)
        or _by_clocks(instance, save, {n: part.wrong_kvmclock_rate for n, part in now.items()})
    )


async def look_for(
    instance: Instance, save: Save, paces: Paces, period_ns: int
) -> TrialResult | None:
    """Return the same without a later save. Afterwards the instance is stopped, and of no use.

    QEMU may deliver a pending interrupt at a look. A QEMU that does not answer tells nothing.
    """
    try:
        await instance.stop()
        seen = {part.vcpu: await look(instance, part.vcpu) for part in save.vcpus}
    except MonitorError:
        return None
    states = {vcpu: state for vcpu, (state, _, _) in seen.items()}
    lapics = {vcpu: lapic for vcpu, (_, lapic, _) in seen.items()}
    # In its tick's handler a vCPU has noted the TSC of one tick, and kvmclock of the one before.
    rates = {
        vcpu: kvmclock_rate.wrong_kvmclock_rate(paces[vcpu], state, period_ns)
        for vcpu, (state, _, registers) in seen.items()
        if registers.interrupt_flag
    }
    return (
        reset_since(save, states)
        or other_vectors.compare(save, states)
        or other_setting.compare(save, lapics, instance.config)
        or _by_clocks(instance, save, rates)
    )


def _by_clocks(
    instance: Instance, save: Save, rates: dict[int, float | None]
) -> TrialResult | None:
    odd = kvmclock_rate.compare(save, rates)
    return unless_suspended(instance, odd) if odd else None
