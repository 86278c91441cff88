"""Checks by trying whether a host can do what a cell asks for."""

from orchestrator.campaign.loader_fit import check_loader_fits
from orchestrator.campaign.unfit import UnfitCellError
from orchestrator.guest.config import DEFAULT_TIMER
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.wait import Wait
from orchestrator.host.facts import QemuFacts
from orchestrator.host.pair import PairedHost
from orchestrator.host.protocol import Host
from orchestrator.plan.cell import Cell
from orchestrator.snapshot.method import Resume
from orchestrator.snapshot.protocol import Snapshots
from orchestrator.snapshot.table import snapshots
from orchestrator.timers.registry import TIMERS
from orchestrator.vm.config import Accel, Firmware, InstanceConfig, IrqChip, VmstateDisk
from orchestrator.vm.tryout import try_once


async def check_cell_fits(host: Host, cell: Cell, qemu: QemuFacts) -> Snapshots:
    """Return the cell's method when the guest of the cell's instance has ticked.

    The instance is started once. If an equal one has ticked on this host, it is not started.

    Raises:
        UnfitError: the cell's values contradict each other, or the host lacks what the cell
            asks for. A QEMU that can't run even the plainest instance under TCG is broken:
            it raises nothing here, and the cell's campaign will report the failure.
        InfraError: the host or the harness failed, so that nothing is known of the cell.
    """
    config = cell.instance_config()
    if cell.accel is Accel.TCG and cell.irqchip is not IrqChip.ON:
        raise UnfitCellError(
            f"irqchip {cell.irqchip} is a choice of KVM: under TCG every LAPIC is QEMU's own"
        )
    if cell.phase.expired and config.timer_is_qemus:
        raise UnfitCellError(
            "phase expired: the timer of QEMU's own LAPIC stops with the instance, and can't "
            "run out in a stopped one"
        )
    if cell.resume is Resume.AUTO and cell.pause_before_cont:
        raise UnfitCellError(
            "pause_before_cont: with resume auto there is no `cont` to pause before"
        )
    if cell.mode not in config.program.timers:
        raise UnfitCellError(
            f"the {cell.guest} guest cannot tick by the timer {cell.mode}. "
            f"It knows: {', '.join(config.program.timers)}"
        )
    if cell.wait not in config.program.waits:
        raise UnfitCellError(
            f"the {cell.guest} guest cannot wait by {cell.wait}. "
            f"It knows: {', '.join(config.program.waits)}"
        )
    if cell.firmware is Firmware.PFLASH and "-bios" not in config.program.qemu_args(config.guest):
        raise UnfitCellError(f"firmware pflash: the {cell.guest} guest is no firmware image")
    if cell.state not in config.program.states or cell.state not in TIMERS[cell.mode].states:
        raise UnfitCellError(
            f"the {cell.guest} guest cannot be saved in the state {cell.state} by the timer "
            f"{cell.mode}"
        )
    if cell.state is not SavedState.ARMED and cell.wait is Wait.HALT:
        raise UnfitCellError(
            f"the guest holds its LAPIC in the state {cell.state} in a loop, and wait {cell.wait} "
            "has none"
        )
    method = snapshots(cell.method, qemu)
    if cell.vmstate is VmstateDisk.SECOND and not method.needs_disk:
        raise UnfitCellError(f"vmstate second: the method {cell.method} saves to no disk")
    tried = await try_once(host, config)
    if tried.fault:
        raise tried.fault
    if tried.why_not and (tried.guest_refused or not _plainest(config)):
        raise UnfitCellError(tried.why_not)
    if isinstance(host, PairedHost):
        await check_loader_fits(host, cell, config, method)
    return method


def _plainest(config: InstanceConfig) -> bool:
    """Return whether every QEMU must be able to run this configuration."""
    plain = InstanceConfig(Accel.TCG, config.guest)
    return config.guest.vcpus == 1 and config.guest.mode == DEFAULT_TIMER and config == plain
