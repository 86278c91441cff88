"""Looks at a stopped guest, and decides whether loads of a save would be evidence."""

import math
from collections.abc import Sequence
from dataclasses import replace

from orchestrator.findings.save import Save, VcpuSave
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


#: Why a save is no evidence whose tick waits in the IRR.
PENDING = "pending"

#: Why a save is no evidence that was taken in the handler of a tick.
INTERRUPTS_OFF = "interrupts off"

#: Why a save is no evidence that should have an interrupt in service, and has none.
NOT_IN_SERVICE = "not in service"


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
    phase -= timer.saved_after
    conditions = {
        "masked": timer.masked(lapic, vector),
        INTERRUPTS_OFF: not registers.interrupt_flag
        or (registers.halted and config.guest.wait is not Wait.HALT),
        PENDING: vector in lapic.irr,
        "in service": vector in lapic.isr,
        "held back": lapic.tpr >> 4 >= vector >> 4,
    }
    found = {
        "not ticking": state.stage is not Stage.TICKING,
        "printing": state.printing or state.printed != state.ticks,
        "not armed": not timer.armed(state, lapic),
        **{name: true for name, true in conditions.items() if name not in timer.conditions},
        **{f"not {name}": not conditions[name] for name in sorted(timer.conditions)},
        **dict.fromkeys(config.program.reasons_against(registers, config.guest), True),
        "off phase": not within[0] <= phase <= within[1],
    }
    if timer.may_wait:
        found.pop(PENDING, None)
    return tuple(reason for reason, true in found.items() if true)


async def look(instance: Instance, vcpu: int = 0) -> tuple[GuestState, Lapic, Registers]:
    """Read the guest's counters, the LAPIC and the registers of a stopped vCPU.

    Raises:
        MonitorError: QEMU failed to read them, or its answer is not understood.
    """
    try:
        state = await instance.peek_state(vcpu)
        lapic = await lapic_of(instance, vcpu)
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
    kvmclock_rate: float | None = None,
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
        kvmclock_rate: how fast kvmclock goes, if that is wrong.
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
        kvmclock_ns=state.kvmclock_ns,
        divide=lapic.divide,
        ineligible=reasons_against(state, lapic, registers, config, phase, within),
        hold=state.hold / cycles_per_period if cycles_per_period else 0.0,
        hold_left=state.hold_left / cycles_per_period if cycles_per_period else 0.0,
        swallowed=state.swallowed,
        strays=state.strays,
        stray=state.stray,
        spurious=state.spurious,
        deadline=state.deadline,
        wrong_kvmclock_rate=kvmclock_rate,
        tpr=lapic.tpr,
    )


async def lapic_of(instance: Instance, vcpu: int) -> Lapic:
    """Read the LAPIC of a stopped vCPU.

    Raises:
        MonitorError: QEMU failed to show it, or its answer is not understood.
    """
    try:
        return parse_lapic(await instance.monitor.hmp("info lapic", vcpu=vcpu))
    except ValueError as error:
        raise AnswerError("human-monitor-command", f"not understood: {error}") from error


async def look_again(instance: Instance, save: Save) -> Save:
    """Return a save that was just taken, with what rules it out if a tick has become pending.

    The timer of a stopped instance can expire until its LAPIC is saved. Its tick is in the save
    then, and no load could lose it.

    Raises:
        MonitorError: QEMU failed to show a LAPIC.
    """
    timer, vector = instance.config.timer, instance.config.program.vector
    if timer.may_wait:
        return save
    parts = []
    for part in save.vcpus:
        lapic = await lapic_of(instance, part.vcpu)
        late = (PENDING,) if vector in lapic.irr else ()
        parts.append(replace(part, ineligible=part.ineligible + late))
    return replace(save, vcpus=tuple(parts))


def advice(rejected: Sequence[Save], *, expired: bool) -> str:
    """Return what to do where no save was eligible.

    Args:
        rejected: the attempts.
        expired: whether each instance was left alone until its timer had expired.
    """
    reasons = {reason for save in rejected for reason in save.first.ineligible}
    if expired and reasons == {PENDING}:
        return (
            "On this host a timer that runs out while the instance is stopped leaves its tick "
            "pending at once, as kvm's parameter pi_inject_timer=1 makes it. Use --state pending "
            "to test that."
        )
    if all(NOT_IN_SERVICE in save.first.ineligible for save in rejected):
        return (
            "The guest holds back the end of an interrupt, and this LAPIC shows none in service: "
            "it ends interrupts by itself, so that --state in-service cannot be had here."
        )
    return "A longer --period gives more room."
