"""Checks by trying whether a host can do what a cell asks for."""

from orchestrator.campaign.loader_fit import check_loader_fits
from orchestrator.campaign.start_fit import check_starts
from orchestrator.campaign.unfit import UnfitCellError
from orchestrator.errors import Lack, UnfitError
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.wait import Wait
from orchestrator.host.facts import QemuFacts
from orchestrator.host.kvm_access import check_kvm
from orchestrator.host.pair import PairedHost
from orchestrator.host.protocol import Host
from orchestrator.plan.cell import Cell
from orchestrator.process.background import in_thread
from orchestrator.snapshot.method import Resume
from orchestrator.snapshot.protocol import Snapshots
from orchestrator.snapshot.table import snapshots
from orchestrator.timers.registry import TIMERS
from orchestrator.vm.config import Accel, Firmware, IrqChip, VmstateDisk


async def check_cell_fits(host: Host, cell: Cell, qemu: QemuFacts) -> Snapshots:
    """Return the cell's method when the guest of the cell's instance has ticked.

    The instance is started once. If an equal one has ticked on this host, it is not started.

    Raises:
        UnfitError: the cell's values contradict each other, or the host or its QEMU lacks
            what the cell asks for.
        InfraError: the instance did not start or did not tick for another reason, so that
            nothing is known of the cell.
    """
    config = cell.instance_config()
    try:
        await in_thread(config.program.prepare)
    except UnfitError as error:
        raise UnfitCellError(str(error), Lack.GUEST_KERNEL) from error
    if cell.accel is Accel.KVM:
        check_kvm(host.facts)
    if cell.accel is Accel.TCG and cell.irqchip is not IrqChip.ON:
        raise UnfitCellError(
            f"irqchip {cell.irqchip} is a choice of KVM: under TCG every LAPIC is QEMU's own",
            Lack.IRQCHIP,
        )
    if cell.irqchip is IrqChip.OFF and config.timer.fires_by_tsc:
        # hw/intc/apic.c counts TMICT down, and knows no deadline.
        raise UnfitCellError(
            f"mode {cell.mode}: with irqchip off the LAPIC is QEMU's own, which has no such timer",
            Lack.MODE,
        )
    if cell.phase.expired and config.timer_stands_in_stop:
        whose = "of QEMU's own LAPIC" if config.lapic_is_qemus else f"of mode {cell.mode}"
        raise UnfitCellError(
            f"phase expired: the timer {whose} stops with the instance, and can't run out in a "
            "stopped one",
            Lack.PHASE,
        )
    if cell.resume is Resume.AUTO and cell.pause_before_cont:
        raise UnfitCellError(
            "pause_before_cont: with resume auto there is no `cont` to pause before",
            Lack.PAUSE_BEFORE_CONT,
        )
    if cell.mode not in config.program.timers:
        raise UnfitCellError(
            f"the {cell.guest} guest cannot tick by the timer {cell.mode}. "
            f"It knows: {', '.join(config.program.timers)}",
            Lack.MODE,
        )
    if cell.apic not in config.program.apics:
        raise UnfitCellError(
            f"the {cell.guest} guest cannot reach its LAPIC by {cell.apic}", Lack.APIC
        )
    if cell.wait not in config.program.waits:
        raise UnfitCellError(
            f"the {cell.guest} guest cannot wait by {cell.wait}. "
            f"It knows: {', '.join(config.program.waits)}",
            Lack.WAIT,
        )
    if cell.firmware is Firmware.PFLASH and "-bios" not in config.program.qemu_args(config.guest):
        raise UnfitCellError(
            f"firmware pflash: the {cell.guest} guest is no firmware image", Lack.FIRMWARE
        )
    if cell.state not in config.program.states or cell.state not in TIMERS[cell.mode].states:
        raise UnfitCellError(
            f"the {cell.guest} guest cannot be saved in the state {cell.state} by the timer "
            f"{cell.mode}",
            Lack.STATE,
        )
    if cell.state is not SavedState.ARMED and cell.wait is Wait.HALT:
        raise UnfitCellError(
            f"the guest holds its LAPIC in the state {cell.state} in a loop, and wait {cell.wait} "
            "has none",
            Lack.STATE,
        )
    method = snapshots(cell.method, qemu)
    if cell.vmstate is VmstateDisk.SECOND and not method.needs_disk:
        raise UnfitCellError(
            f"vmstate second: the method {cell.method} saves to no disk", Lack.VMSTATE
        )
    await check_starts(host, config)
    if isinstance(host, PairedHost):
        await check_loader_fits(host, cell, config, method)
    return method
