"""How long before a stop the guest's last turns had ended.

A vCPU that waits for a CPU as it is stopped does not note the time, while its TSC goes on: the
TSC in the save is then later than the guest's own counters say.
"""

from dataclasses import replace

from orchestrator.findings.save import SHORT_NS, Save
from orchestrator.trial.pace import Paces

#: Times of less than so many periods are left out, to keep the journal small.
_SHORT_PERIODS = 0.1


def with_last_turns(save: Save, paces: Paces, stopped_ns: int, period_ns: int) -> Save:
    """Return the save with the time from each vCPU's last turn to the stop.

    Args:
        save: a save of a guest that has gone on since.
        paces: the pace of each vCPU. No load may have come since the save.
        stopped_ns: when the guest stood still, by the host's clock.
        period_ns: the timer's period.
    """
    least_ns = min(SHORT_NS, period_ns * _SHORT_PERIODS)
    vcpus = []
    for part in save.vcpus:
        pace = paces[part.vcpu]
        rate = pace.cycles_per_ns(period_ns)
        ended_ns = pace.clocks.tsc.came_ns(part.tsc, rate) if part.tsc else None
        since_ns = 0 if ended_ns is None else int(stopped_ns - ended_ns)
        vcpus.append(replace(part, since_turn_ns=since_ns if since_ns >= least_ns else 0))
    return replace(save, vcpus=tuple(vcpus))
