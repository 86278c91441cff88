"""A save: what was true of a guest in it, and whether its loads are evidence."""

import math

from orchestrator.findings.save import VcpuSave
from orchestrator.guest.lapic import Lapic, Registers, parse_lapic, parse_registers
from orchestrator.guest.state import GuestState, Stage
from orchestrator.qmp.errors import MonitorError
from orchestrator.timers.first_tick import MISSING
from orchestrator.vm.config import InstanceConfig
from orchestrator.vm.instance import Instance

#: Saves are taken here in the period unless a plan says otherwise: the ways to tick are
#: told apart there.
EARLIEST_PHASE = 0.35


LATEST_PHASE = 0.65


#: Of vCPUs whose phase was not chosen: none of their ticks is overdue.
ANY_PHASE = (-math.inf, MISSING)


def reasons_against(
    state: GuestState,
    lapic: Lapic,
    registers: Registers,
    config: InstanceConfig,
    phase: float,
    within: tuple[float, float] = (EARLIEST_PHASE, LATEST_PHASE),
) -> tuple[str, ...]:
    """Return what makes loads of this state no evidence.

    `within` are the phases that were asked for: a save of another one is as true, but it
    answers another question.
    """
    timer, vector = config.timer, config.program.vector
    found = {
        "not ticking": state.stage is not Stage.TICKING,
        "printing": state.printing or state.printed != state.ticks,
        "not armed": not timer.armed(state, lapic),
        "masked": timer.masked(lapic, vector),
        "interrupts off": not registers.interrupt_flag or registers.halted,
        "pending": vector in lapic.irr,
        "in service": vector in lapic.isr,
        "off phase": not within[0] <= phase <= within[1],
    }
    return tuple(reason for reason, true in found.items() if true)


async def look(instance: Instance, vcpu: int = 0) -> tuple[GuestState, Lapic, Registers]:
    """Read a vCPU's state block, LAPIC and registers in a stopped instance.

    Raises:
        MonitorError: QEMU failed at it, or what it printed can't be understood.
    """
    try:
        state = await instance.peek_state(vcpu)
        lapic = parse_lapic(await instance.monitor.hmp("info lapic", vcpu=vcpu))
        registers = parse_registers(await instance.monitor.hmp("info registers", vcpu=vcpu))
    except ValueError as error:
        raise MonitorError("human-monitor-command", f"not understood: {error}") from error
    return state, lapic, registers


def describe(
    seen: tuple[GuestState, Lapic, Registers],
    spins_per_period: float,
    config: InstanceConfig,
    *,
    printing_periods: float = 0.0,
    within: tuple[float, float] = (EARLIEST_PHASE, LATEST_PHASE),
    vcpu: int = 0,
) -> VcpuSave:
    """Return what a save holds of a vCPU in the state that was seen.

    A period begins with `printing_periods` of printing, in which the guest does not spin.
    """
    state, lapic, registers = seen
    phase = state.spins / spins_per_period + printing_periods
    return VcpuSave(
        vcpu=vcpu,
        phase=phase,
        spins=state.spins,
        spins_per_period=spins_per_period,
        ticks=state.ticks,
        arms=state.arms,
        lvtt=lapic.lvtt,
        tmict=lapic.tmict,
        irr=tuple(sorted(lapic.irr)),
        isr=tuple(sorted(lapic.isr)),
        interrupt_flag=registers.interrupt_flag,
        printing=state.printing or state.printed != state.ticks,
        stage=state.stage,
        ineligible=reasons_against(state, lapic, registers, config, phase, within),
    )
