"""A guest that was reset after a load: its program begins anew, and so do its numbers."""

from orchestrator.findings.arrival import Arrival
from orchestrator.findings.outcome import Outcome
from orchestrator.trial.judge import Judgement
from orchestrator.vm.instance import Instance

#: The beginning of what is said of such a guest.
RESET = "the guest was reset"


async def judge_reset(
    instance: Instance, vcpu: int, heard: Arrival, last: int, *, said: bool
) -> Judgement | None:
    """Return `crashed` if a tick shows that the guest was reset; None if it does not.

    The first vCPU says that it begins, on its own console. Of the others, and where that line
    was torn, the guest's memory must confirm that its numbers began anew.

    Args:
        instance: has loaded the save, and runs.
        vcpu: the vCPU that ticked.
        heard: the tick.
        last: the number of the tick before it, or of the save.
        said: whether the vCPU said that it begins since the tick before.
    """
    number = heard.tick.sequence
    if number > last:
        return None
    why = f"{RESET}: tick {number} came after tick {last}"
    if said:
        why += ", and the guest had said that it begins"
    elif number == 1 and await _counts_anew(instance, vcpu, heard, last):
        why += ", and its memory counts from 1 as well"
    else:
        return None
    return Judgement(Outcome.CRASHED, why)


async def _counts_anew(instance: Instance, vcpu: int, heard: Arrival, last: int) -> bool:
    """Return whether a guest that says 1 once more counts less than if it had only gone on.

    It may have ticked on since that line.
    """
    state = await instance.known_state(vcpu)
    since = (instance.clock.now_ns() - heard.at_ns) // instance.config.guest.period_ns
    return state is not None and 1 <= state.ticks < max(last, 2) + since
