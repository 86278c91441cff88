"""A timer whose mode or divisor is another one in a later save: the guest never changes them.

Ticks need not show it. A guest that arms its timer at each tick ticks by a periodic timer as by a
one-shot timer.
"""

from orchestrator.findings.outcome import Outcome, TrialResult, VcpuResult, combine
from orchestrator.findings.save import Save, VcpuSave
from orchestrator.guest.lapic import LVT_TIMER_MODE, mode_name
from orchestrator.vm.config import InstanceConfig


def compare(save: Save, later: Save, config: InstanceConfig) -> TrialResult | None:
    """Return the result of a guest whose LAPIC's timer changed between a save and a later one.

    None if no timer did, or if the guest's kernel may have done it. The guest ticked after all
    loads of the earlier save, so this is one more trial of that save.
    """
    if config.program.kernel_tick_ns:
        return None
    pairs = zip(save.vcpus, later.vcpus, strict=True)
    parts = [
        VcpuResult(
            Outcome.RATE,
            why=f"ticks went on, but loads of {save.tag} changed the LAPIC's timer: {said}",
            ticks_after_load=2,
            vcpu=part.vcpu,
        )
        for part, now in pairs
        if (said := _differs(part, now))
    ]
    return combine(parts) if parts else None


def _differs(save: VcpuSave, now: VcpuSave) -> str:
    said = []
    if (save.lvtt ^ now.lvtt) & LVT_TIMER_MODE:
        said.append(
            f"its mode is {_mode(now)} (LVTT {now.lvtt:#x}), and was "
            f"{_mode(save)} (LVTT {save.lvtt:#x}) in the save"
        )
    if save.divide and now.divide and save.divide != now.divide:
        said.append(f"its clock is divided by {now.divide}, and was by {save.divide} in the save")
    return " and ".join(said)


def _mode(part: VcpuSave) -> str:
    return mode_name(part.lvtt) or "the reserved one"
