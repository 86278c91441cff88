"""A guest that was reset after a load: its program begins anew, and so do its numbers."""

from collections.abc import Mapping

from orchestrator.findings.arrival import Arrival
from orchestrator.findings.outcome import Outcome, TrialResult, VcpuResult, combine
from orchestrator.findings.save import Save, VcpuSave
from orchestrator.guest.state import GuestState
from orchestrator.trial.judge import Judgement
from orchestrator.vm.instance import Instance

#: The beginning of what is said of such a guest.
RESET = "the guest was reset"


async def judge_reset(
    instance: Instance, vcpu: int, heard: Arrival, last: int, *, said: bool
) -> Judgement | None:
    """Return `crashed` if a tick shows that the guest was reset; None if it does not.

    The guest's memory must confirm that its numbers began anew.

    Args:
        instance: has loaded the save, and runs.
        vcpu: the vCPU that ticked.
        heard: the tick.
        last: the number of the tick before it, or of the save.
        said: whether the vCPU said that it begins since the tick before.
    """
    number = heard.tick.sequence
    since = (instance.clock.now_ns() - heard.at_ns) // instance.config.guest.period_ns
    # A guest that was saved at its first tick counts no fewer: only its line tells.
    before = last + 1 if said else last
    if number > last or not (said or number == 1):
        return None
    if not await counts_anew(instance, vcpu, number + since + 1, before):
        return None
    why = f"{RESET}: tick {number} came after tick {last}"
    also = "it had said that it begins" if said else "its memory counts from 1 as well"
    return Judgement(Outcome.CRASHED, f"{why}, and {also}")


async def counts_anew(instance: Instance, vcpu: int, most: int, before: int) -> bool:
    """Return whether a vCPU's memory counts up to `most` ticks, and fewer than before."""
    state = await instance.known_state(vcpu)
    return state is not None and state.ticks <= most and state.ticks < before


def reset_since(save: Save, now: Mapping[int, GuestState | VcpuSave]) -> TrialResult | None:
    """Return the result of a guest that counts fewer ticks than in a save; None if it does not.

    It ticked after all loads of the save, and was reset later: nobody follows its lines then.

    Args:
        save: the save.
        now: the counters of each vCPU later, or a later save of it. Some may not be known.
    """
    parts = [
        VcpuResult(
            Outcome.CRASHED,
            why=f"ticks went on after its last load; later {RESET}: it counts "
            f"{now[part.vcpu].ticks} ticks, and counted {part.ticks} in {save.tag}",
            ticks_after_load=2,
            vcpu=part.vcpu,
        )
        for part in save.vcpus
        if part.vcpu in now and now[part.vcpu].ticks < part.ticks
    ]
    return combine(parts) if parts else None
