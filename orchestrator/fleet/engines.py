"""The engines that bring a fleet's runs to their hosts."""

from importlib import import_module
from pathlib import Path

from orchestrator.fleet.executor import Executor
from orchestrator.fleet.fleet_file import Engine, FleetFile


def open_engine(fleet: FleetFile, base: Path, *, allow_reboot: bool = False) -> Executor:
    """Return the engine of a fleet. Nothing is connected to before it is asked to do something.

    Args:
        fleet: the fleet.
        base: the folder from which relative paths in the fleet file count.
        allow_reboot: whether hosts may be booted into the kernels of the fleet. Slurm reboots
            nodes only as its administrator has allowed.
    """
    # Only who uses an engine needs its libraries.
    if fleet.engine is Engine.SSH:
        ssh = import_module("orchestrator.fleet.ssh.executor")
        by_ssh: Executor = ssh.SshExecutor(fleet, base, allow_reboot=allow_reboot)
        return by_ssh
    slurm = import_module("orchestrator.fleet.slurm.executor")
    by_slurm: Executor = slurm.SlurmExecutor(fleet)
    return by_slurm
