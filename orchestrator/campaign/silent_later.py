"""The result of a guest that stopped ticking although no load had just been made."""

from orchestrator.findings.outcome import STOPPED, Outcome, TrialResult, VcpuResult, combine
from orchestrator.qmp.errors import MonitorError
from orchestrator.trial.aim import NoSaveError
from orchestrator.trial.suspended import unless_suspended
from orchestrator.trial.watch import how_it_ended
from orchestrator.vm.instance import Instance


async def silent_later(instance: Instance, error: NoSaveError | MonitorError) -> TrialResult:
    """Return the result of the guest, as one more trial of its last save.

    It is `lost` for a silence, `crashed` for a crash, and `unknown` if QEMU was killed or
    stalled, or if a suspension of the host may explain the silence.
    """
    if isinstance(error, NoSaveError):
        quiet = error.quiet
    else:
        quiet = await how_it_ended(instance)
    part = VcpuResult(
        outcome=quiet.outcome if quiet else Outcome.UNKNOWN,
        why=f"ticks went on after its last load; later, {error}",
        ticks_after_load=2,
        vcpu=quiet.vcpu if quiet else 0,
    )
    return unless_suspended(instance, combine([part]))


async def stopped_unloaded(instance: Instance, error: NoSaveError | MonitorError) -> Outcome | None:
    """Return how a guest ended that was never loaded: `lost` or `crashed`.

    None if that is not proven: the vCPU got no turn, QEMU was ended from outside or refused a
    command, or the host was suspended.
    """
    outcome = (await silent_later(instance, error)).outcome
    return outcome if outcome in STOPPED else None
