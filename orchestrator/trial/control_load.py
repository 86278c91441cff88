"""Loads of a control: only a load that restores the timer can bring the injected loss again.

A method that loads into the running QEMU loads over the guest that was saved. If that guest still
stood where it was saved, its own timer would do the same as the restored one, and the injected
loss would be seen after a load without any effect on the LAPIC. So the guest runs past its window
first: its interrupt is swallowed then, its timer is over or set to the tick's vector again, and
what is swallowed after the load is the restored timer's interrupt.
"""

from orchestrator.findings.save import Save, VcpuSave
from orchestrator.guest.state import GuestState, Stage
from orchestrator.trial.limits import Limits
from orchestrator.vm.config import InstanceConfig
from orchestrator.vm.instance import Instance


async def run_past_window(instance: Instance, limits: Limits) -> bool:
    """Let a stopped guest of a control run on until its window has passed.

    Returns:
        Whether the window has passed: a guest that gets no CPU can take too long for it.

    Raises:
        MonitorError: QEMU did not answer.
    """
    await instance.cont()
    until_ns = instance.clock.now_ns() + limits.wall_cap_ns
    while True:
        state = await instance.known_state(instance.config.guest.subject)
        if state is not None and state.stage is not Stage.CONTROL_WINDOW:
            instance.swallowed = state.swallowed
            return True
        if instance.clock.now_ns() >= until_ns:
            return False
        await instance.clock.sleep(limits.period_ns)


def not_restored(config: InstanceConfig, save: Save, before: int, now: GuestState | None) -> str:
    """Return what shows that a load did not restore the timer of a control; empty if it did.

    A load that restores it and loses its interrupt, as an affected kernel does, shows the same.

    Args:
        config: of the instance.
        save: the control's save.
        before: interrupts that the guest had swallowed when it had run past its window. None are
            no grounds: its control may be of another kind.
        now: the counters of the control's vCPU after the load; None if they can't be read.
    """
    if not before:
        return ""
    part = save.vcpus[config.guest.subject]
    if now is None or now.swallowed > part.swallowed or not _comes_again(config, part):
        return ""
    if now.stage is Stage.CONTROL_WINDOW and now.ticks == part.ticks:
        return ""  # it may come yet
    return (
        "the load did not restore the timer, or lost its interrupt: the interrupt of the saved "
        "timer was yet to come on the vector of the control, and none came there"
    )


def _comes_again(config: InstanceConfig, save: VcpuSave) -> bool:
    """Return whether the interrupt of a saved timer comes after the load.

    A timer that was over at the save gives none, unless it runs by itself. But KVM takes a one-shot
    timer with an initial count for one that expires at the load.
    """
    if not save.swallowed or config.timer.reloads:
        return True
    return bool(save.tmict) and not config.timer_is_qemus
