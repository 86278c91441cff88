"""Checks by trying whether one QEMU can load what another one saves."""

from orchestrator.campaign.unfit import UnfitCellError
from orchestrator.errors import Lack
from orchestrator.host.errors import QemuStartError
from orchestrator.host.pair import PairedHost
from orchestrator.plan.cell import Cell
from orchestrator.qmp.errors import CommandFailedError
from orchestrator.snapshot.method import CycleKind
from orchestrator.snapshot.needs import with_needs
from orchestrator.snapshot.protocol import Snapshots
from orchestrator.snapshot.table import snapshots
from orchestrator.vm.config import InstanceConfig
from orchestrator.vm.launch import launch
from orchestrator.vm.machine import machine_on, require_machine


async def check_loader_fits(
    host: PairedHost, cell: Cell, config: InstanceConfig, method: Snapshots
) -> None:
    """Save a guest once by the cell's QEMU, and load it by the cell's loader.

    Raises:
        UnfitError: the method or the cycle has no second QEMU, the loader lacks the method or
            the machine type, or the loader refuses the state.
        InfraError: the host or the harness failed.
    """
    saver, loader = host.facts.need_qemu(), host.loader.facts.need_qemu()
    if not method.new_process:
        raise UnfitCellError(
            f"loader {cell.loader}: the method {cell.method} loads in the QEMU that saved. "
            "Use a method that loads in a new QEMU, such as loadvm or exec",
            Lack.LOADER,
        )
    if cell.cycle is CycleKind.CHAIN:
        raise UnfitCellError(
            f"loader {cell.loader}: in the cycle chain the QEMU that has loaded also saves",
            Lack.LOADER,
        )
    snapshots(cell.method, loader)
    machine = machine_on(host, cell.machine)
    require_machine(machine, loader)
    async with launch(host, with_needs(config, method)) as instance:
        await instance.next_tick()
        await instance.stop()
        await method.save(instance, "tryout")
        try:
            await method.load(instance, "tryout")
        except (CommandFailedError, QemuStartError) as error:
            if error.transient or (isinstance(error, QemuStartError) and not error.refused):
                raise
            raise UnfitCellError(
                f"QEMU {loader.version} does not load what QEMU {saver.version} saves of the "
                f"machine {machine}: {'; '.join(str(error).splitlines())}",
                Lack.LOADER,
            ) from error
