"""A preview of a fleet: its cells, hosts and kernels, what can't run and why, and the time.

A fleet file does not tell what a host can do. Only the host knows, and the newest run of it in the
history.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.fleet.body import command
from orchestrator.fleet.fleet_file import Engine
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.load import Loaded
from orchestrator.fleet.slurm.scripts import scripts as batch_scripts
from orchestrator.fleet.task import Task, tasks
from orchestrator.plan.cell import Cell
from orchestrator.plan.cost import expected_s
from orchestrator.vm.config import Accel


@dataclass(frozen=True, slots=True)
class Skipped:
    """A cell that the newest run of a host skipped."""

    run: int
    """The run's number in the history."""
    cell: str
    why: str


@dataclass(frozen=True, slots=True)
class HostPreview:
    """The runs that one host would get."""

    name: str
    tasks: Sequence[Task]
    expected_s: float
    """Seconds that its runs take, one after another, if nothing is lost. Boots are not counted."""
    skipped: Sequence[Skipped]
    """Cells of the plan that its newest run in the history skipped."""

    @property
    def can_run(self) -> list[Task]:
        """The tasks that are not ruled out by the fleet file."""
        return [task for task in self.tasks if not task.why_not]


@dataclass(frozen=True, slots=True)
class FleetPreview:
    """The runs that a fleet would make."""

    hosts: Sequence[HostPreview]
    cells: Sequence[tuple[Cell, float]]
    """The cells of each run, and about how many seconds each takes."""
    at_once: int
    """Hosts that work at a time."""
    unbootable: Sequence[str]
    """Tasks whose kernel must run already, because the file does not say how it is booted."""

    @property
    def run_s(self) -> float:
        """Seconds that one run takes."""
        return sum(seconds for _, seconds in self.cells)

    @property
    def expected_s(self) -> float:
        """Seconds that the fleet takes, if every host is free."""
        longest = max((each.expected_s for each in self.hosts), default=0.0)
        return max(longest, sum(each.expected_s for each in self.hosts) / self.at_once)


def preview(loaded: Loaded, skipped: Iterable[tuple[str, int, str, str]] = ()) -> FleetPreview:
    """Return what a fleet would run.

    Args:
        loaded: the fleet file, and its plan.
        skipped: host, run, cell and reason of what the newest runs of hosts skipped.

    Raises:
        InputError: the plan has no cells, or two of one name.
    """
    auto = Accel.KVM  # a fleet is of hosts with KVM; a host without it says so itself
    cells = [(cell, expected_s(cell, loaded.plan)) for cell in loaded.plan.cells(auto)]
    ids, run_s = {cell.id for cell, _ in cells}, sum(seconds for _, seconds in cells)
    before: dict[str, list[Skipped]] = {}
    for host, run, cell, why in skipped:
        if cell in ids:
            before.setdefault(host, []).append(Skipped(run, cell, why))
    by_host: dict[str, list[Task]] = {}
    for task in tasks(loaded.fleet):
        by_host.setdefault(task.host, []).append(task)
    hosts = [
        HostPreview(
            name, its, run_s * sum(not task.why_not for task in its), before.get(name, ())
        )
        for name, its in by_host.items()
    ]  # fmt: skip
    ssh = loaded.fleet.engine is Engine.SSH
    unbootable = [
        task.id
        for host in hosts
        for task in host.can_run
        if task.boots and (task.boots.boot_entry if ssh else task.boots.feature) is None
    ]
    at_once = loaded.fleet.ssh.at_once if ssh else max(1, len(hosts))
    return FleetPreview(hosts, cells, at_once, unbootable)


def scripts(loaded: Loaded, folder: Path) -> Mapping[str, str]:
    """Return what is given to the engine, by its name: a batch script, or a host's command.

    Args:
        loaded: the fleet file, and its plan.
        folder: the fleet's folder.

    Raises:
        InputError: nothing can be made of the fleet file.
    """
    every = [task for task in tasks(loaded.fleet) if not task.why_not]
    where = FleetFolder(folder)
    if loaded.fleet.engine is Engine.SLURM:
        return batch_scripts(loaded.fleet, every, where)
    there = loaded.fleet.ssh.folder
    return {
        task.id: shlex.join(
            command(
                task, [loaded.fleet.command], plan=f"{there}/plan.toml",
                out=f"{there}/runs/{task.id}",
            )
        )
        + "\n"
        for task in every
    }  # fmt: skip
