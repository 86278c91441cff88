"""The runs of a fleet: one for each host and kernel."""

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.fleet.fleet_file import Constraint, FleetFile, Host, Kernel

#: The name of the kernel that a host happens to run, where a fleet names none.
BOOTED = "booted"


@dataclass(frozen=True, slots=True)
class Task:
    """A run of the fleet's plan on one host under one kernel."""

    host: str
    """The host's name in the fleet; with a constraint the name of that and a number."""
    kernel: str
    """The kernel's name in the fleet; `booted` if the fleet names none."""
    boots: Kernel | None = None
    """The kernel as the host names it; None if the host is tested as it runs."""
    place: Host | None = None
    """The host; None if Slurm chooses one."""
    constraint: str | None = None
    """The features that the node which Slurm chooses must have."""
    why_not: str = ""
    """The reason why it can't be run; empty if it can."""

    @property
    def id(self) -> str:
        """The name of the task, and of its run's folder."""
        return f"{self.host}@{self.kernel}"


def tasks(fleet: FleetFile) -> list[Task]:
    """Return the runs of a fleet, host by host, each with all kernels."""
    return [task for host in fleet.hosts for task in _of_host(fleet, host)] + [
        task for each in fleet.constraints for task in _of_constraint(fleet, each)
    ]


def _of_host(fleet: FleetFile, host: Host) -> Iterator[Task]:
    if not fleet.kernels:
        yield Task(host.name, BOOTED, place=host)
    for name, kernel in fleet.kernels.items():
        lacks = f"{host.name} does not have the kernel {name}" if name in host.lacks else ""
        boots = host.kernels.get(name, kernel)
        yield Task(host.name, name, boots=boots, place=host, why_not=lacks)


def _of_constraint(fleet: FleetFile, chosen: Constraint) -> Iterator[Task]:
    for number in range(1, chosen.nodes + 1):
        host = chosen.name if chosen.nodes == 1 else f"{chosen.name}~{number}"
        for name, kernel in fleet.kernels.items() or [(BOOTED, None)]:
            yield Task(host, name, boots=kernel, constraint=chosen.constraint)
