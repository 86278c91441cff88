"""A timer whose setting is another one in a later save: the guest never changes it.

The setting is the timer's mode, its divisor, and the initial count of a timer that reloads it.
Ticks need not show it. A guest that arms its timer at each tick ticks by a periodic timer as by a
one-shot timer, and QEMU's main loop makes the ticks of its own timers late on a busy host.
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
        if (said := _differs(part, now, reloads=_reloads(config)))
    ]
    return combine(parts) if parts else None


def _reloads(config: InstanceConfig) -> bool:
    """Return whether the LAPIC's timer reloads its initial count, and the guest ticks by it."""
    return config.timer.reloads and not config.timer.behind_pic


def _differs(save: VcpuSave, now: VcpuSave, *, reloads: bool) -> str:
    said = []
    if (save.lvtt ^ now.lvtt) & LVT_TIMER_MODE:
        said.append(
            f"its mode is {_mode(now)} (LVTT {now.lvtt:#x}), and was "
            f"{_mode(save)} (LVTT {save.lvtt:#x}) in the save"
        )
    if save.divide and now.divide and save.divide != now.divide:
        said.append(f"its clock is divided by {now.divide}, and was by {save.divide} in the save")
    if reloads and save.tmict and now.tmict and save.tmict != now.tmict:
        said.append(f"its initial count is {now.tmict}, and was {save.tmict} in the save")
    return " and ".join(said)


def _mode(part: VcpuSave) -> str:
    return mode_name(part.lvtt) or "the reserved one"
