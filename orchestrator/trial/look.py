"""Looks at a stopped guest, and decides whether loads of a save would be evidence."""

import math

from orchestrator.findings.save import VcpuSave
from orchestrator.guest.lapic import Lapic, Registers, parse_lapic, parse_registers
from orchestrator.guest.state import GuestState, Stage
from orchestrator.guest.wait import Wait
from orchestrator.qmp.errors import AnswerError
from orchestrator.vm.config import InstanceConfig
from orchestrator.vm.instance import Instance

#: Earliest phase of a save unless a plan says otherwise. In the middle of the period timing
#: tells the classes of first tick apart.
EARLIEST_PHASE = 0.35

#: Latest phase of a save unless a plan says otherwise.
LATEST_PHASE = 0.65


#: From this phase on, a tick is overdue.
OVERDUE = 1.5

#: Accepted phases for every vCPU but the first: any, as long as its next tick is not overdue.
ANY_PHASE = (-math.inf, OVERDUE)


def reasons_against(
    state: GuestState,
    lapic: Lapic,
    registers: Registers,
    config: InstanceConfig,
    phase: float,
    within: tuple[float, float] = (EARLIEST_PHASE, LATEST_PHASE),
) -> tuple[str, ...]:
    """Return why loads of this state would be no evidence; empty if they would be.

    Args:
        state: the guest's own counters.
        lapic: the vCPU's LAPIC.
        registers: the vCPU's registers.
        config: configuration of the instance.
        phase: where in the period the vCPU was stopped.
        within: phases that were asked for.
    """
    timer, vector = config.timer, config.program.vector
    found = {
        "not ticking": state.stage is not Stage.TICKING,
        "printing": state.printing or state.printed != state.ticks,
        "not armed": not timer.armed(state, lapic),
        "masked": timer.masked(lapic, vector),
        "interrupts off": not registers.interrupt_flag
        or (registers.halted and config.guest.wait is not Wait.HALT),
        "pending": vector in lapic.irr,
        "in service": vector in lapic.isr,
        "off phase": not within[0] <= phase <= within[1],
    }
    return tuple(reason for reason, true in found.items() if true)


async def look(instance: Instance, vcpu: int = 0) -> tuple[GuestState, Lapic, Registers]:
    """Read the guest's counters, the LAPIC and the registers of a stopped vCPU.

    Raises:
        MonitorError: QEMU failed to read them, or its answer is not understood.
    """
    try:
        state = await instance.peek_state(vcpu)
        lapic = parse_lapic(await instance.monitor.hmp("info lapic", vcpu=vcpu))
        registers = parse_registers(await instance.monitor.hmp("info registers", vcpu=vcpu))
    except ValueError as error:
        raise AnswerError("human-monitor-command", f"not understood: {error}") from error
    return state, lapic, registers


def describe(
    seen: tuple[GuestState, Lapic, Registers],
    progress_per_period: float,
    config: InstanceConfig,
    *,
    printing_periods: float = 0.0,
    within: tuple[float, float] = (EARLIEST_PHASE, LATEST_PHASE),
    vcpu: int = 0,
    phase: float | None = None,
    cycles_per_period: float = 0,
) -> VcpuSave:
    """Return what a save of a vCPU in this state records.

    Args:
        seen: the guest's counters, the LAPIC and the registers.
        progress_per_period: the guest's progress in one period.
        config: configuration of the instance.
        printing_periods: share of a period that the guest prints. Each period begins with
            printing, which adds no progress.
        within: phases that were asked for.
        vcpu: number of the vCPU.
        phase: where in the period the vCPU was stopped, for a guest that makes no progress
            while it waits; by default its TSC says it, or else its progress.
        cycles_per_period: TSC cycles in a period; 0 if nobody knows.
    """
    state, lapic, registers = seen
    if phase is None and cycles_per_period and state.tsc > state.tick_tsc > 0:
        # The timer goes on while the vCPU waits for a CPU, and progress does not.
        phase = (state.tsc - state.tick_tsc) / cycles_per_period
    if phase is None:
        phase = state.progress / progress_per_period + printing_periods
    return VcpuSave(
        vcpu=vcpu,
        phase=phase,
        progress=state.progress,
        progress_per_period=progress_per_period,
        ticks=state.ticks,
        arms=state.arms,
        lvtt=lapic.lvtt,
        tmict=lapic.tmict,
        irr=tuple(sorted(lapic.irr)),
        isr=tuple(sorted(lapic.isr)),
        interrupt_flag=registers.interrupt_flag,
        printing=state.printing or state.printed != state.ticks,
        stage=state.stage,
        tsc=state.tsc,
        stolen=state.stolen,
        divide=lapic.divide,
        ineligible=reasons_against(state, lapic, registers, config, phase, within),
        swallowed=state.swallowed,
        strays=state.strays,
        deadline=state.deadline,
    )
