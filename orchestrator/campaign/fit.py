"""Whether a host can do what a cell asks for: found by trying it."""

from orchestrator.errors import UnfitError
from orchestrator.host.facts import QemuFacts
from orchestrator.host.protocol import Host
from orchestrator.plan.cell import Cell
from orchestrator.snapshot.protocol import Snapshots
from orchestrator.snapshot.table import snapshots
from orchestrator.vm.config import Accel, InstanceConfig, IrqChip
from orchestrator.vm.tryout import try_out


class UnfitCellError(UnfitError):
    """The host can't do what a cell asks for."""


async def fit(host: Host, cell: Cell, qemu: QemuFacts) -> Snapshots:
    """Return a cell's method, once its instance has ticked on its host.

    Raises:
        UnfitError: the cell makes no sense, or what it asks for can't be had here. (A QEMU
            that does not even run its plainest instance under TCG is broken, and the cell's
            campaign will say how.)
    """
    config = cell.instance_config()
    if cell.accel is Accel.TCG and cell.irqchip is not IrqChip.ON:
        raise UnfitCellError(
            f"irqchip {cell.irqchip} is a choice of KVM: under TCG every LAPIC is QEMU's own"
        )
    if cell.phase.expired and config.lapic_is_qemus:
        raise UnfitCellError(
            "phase expired: the timer of QEMU's own LAPIC stops with the instance, and can't "
            "run out in a stopped one"
        )
    if cell.mode not in config.program.timers:
        raise UnfitCellError(
            f"the {cell.guest} guest cannot tick by the timer {cell.mode}. "
            f"It knows: {', '.join(config.program.timers)}"
        )
    method = snapshots(cell.method, qemu)
    tried = await try_out(host, config)
    if tried.why_not and (tried.refused or not _plainest(config)):
        raise UnfitCellError(tried.why_not)
    return method


def _plainest(config: InstanceConfig) -> bool:
    """Whether every QEMU must be able to run it."""
    return config.guest.vcpus == 1 and config == InstanceConfig(Accel.TCG, config.guest)
