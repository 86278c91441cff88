"""A LAPIC that loads have left otherwise than it was in their save. The guest never changes it.

Of the timer, the mode, the divisor, and the initial count of a timer that reloads it are compared.
Ticks need not show them. A guest that arms its timer at each tick ticks by a periodic timer as by a
one-shot timer, and QEMU's main loop makes the ticks of its own timers late on a busy host.

Beside the tick, the guest takes no interrupt. One of a lower priority that stays in service, or a
task priority below the tick's, holds back the disk's interrupts in other guests, and no tick here.
"""

from collections.abc import Mapping, Set

from orchestrator.findings.outcome import Outcome, TrialResult, VcpuResult, combine
from orchestrator.findings.save import Save, VcpuSave
from orchestrator.guest.lapic import LVT_TIMER_MODE, Lapic, mode_name
from orchestrator.guest.saved_state import SavedState
from orchestrator.vm.config import InstanceConfig


def compare(
    save: Save, now: Mapping[int, VcpuSave | Lapic], config: InstanceConfig
) -> TrialResult | None:
    """Return the result of a guest whose LAPICs are others than they were in a save.

    None if they are not, or if the guest's kernel may have changed them.

    Args:
        save: the save. The guest ticked after all of its loads.
        now: the LAPIC of each vCPU later, or a later save of the vCPU.
        config: configuration of the instance.
    """
    if config.program.kernel_tick_ns:
        return None
    parts = [_compare(save, part, now[part.vcpu], config) for part in save.vcpus]
    return combine(odd) if (odd := [each for each in parts if each]) else None


def _compare(
    save: Save, part: VcpuSave, now: VcpuSave | Lapic, config: InstanceConfig
) -> VcpuResult | None:
    timer = _timer(part, now, reloads=config.timer.reloads and not config.timer.behind_pic)
    others = _interrupts(part, now, config)
    if not (timer or others):
        return None
    said = [f"changed the LAPIC's timer: {timer}"] if timer else []
    said += [f"left the LAPIC otherwise than it was: {others}"] if others else []
    return VcpuResult(
        Outcome.RATE if timer else Outcome.EXTRA,
        why=f"ticks went on, but loads of {save.tag} {' and '.join(said)}",
        ticks_after_load=2,
        vcpu=part.vcpu,
    )


def _timer(part: VcpuSave, now: VcpuSave | Lapic, *, reloads: bool) -> str:
    said = []
    if (part.lvtt ^ now.lvtt) & LVT_TIMER_MODE:
        said.append(
            f"its mode is {_mode(now)} (LVTT {now.lvtt:#x}), and was "
            f"{_mode(part)} (LVTT {part.lvtt:#x}) in the save"
        )
    if part.divide and now.divide and part.divide != now.divide:
        said.append(f"its clock is divided by {now.divide}, and was by {part.divide} in the save")
    if reloads and part.tmict and now.tmict and part.tmict != now.tmict:
        said.append(f"its initial count is {now.tmict}, and was {part.tmict} in the save")
    return " and ".join(said)


def _mode(part: VcpuSave | Lapic) -> str:
    return mode_name(part.lvtt) or "the reserved one"


def _interrupts(part: VcpuSave, now: VcpuSave | Lapic, config: InstanceConfig) -> str:
    """Return which interrupts, and which priority, are new. The tick's own comes and goes."""
    tick = {config.program.vector}
    said = [
        f"{_vectors(new)} {what}"
        for what, new in (
            ("in service", set(now.isr) - set(part.isr) - tick),
            ("pending", set(now.irr) - set(part.irr) - tick),
        )
        if new
    ]
    if config.guest.state is not SavedState.TPR and part.tpr != now.tpr:
        said.append(f"the task priority is {now.tpr:#x}, and was {part.tpr:#x} in the save")
    return " and ".join(said)


def _vectors(vectors: Set[int]) -> str:
    few = ", ".join(f"{each:#x}" for each in sorted(vectors)[:8])
    return f"vector {few} is" if len(vectors) == 1 else f"vectors {few} are"
