"""Made fleets: what their hosts tested, and folders of their runs."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.fleet.fleet_file import FleetFile
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.task import Task, tasks
from orchestrator.fleet.tested import Tested
from tests.support.made_runs import Load, exactly, make_run, other
from tests.support.simulated_campaigns import Draw, alike
from tests.support.simulated_saves import draw_saves

#: The loss rate of a host under a kernel; or what draws the rates of its saves.
Rates = Callable[[str, str], "float | Draw"]


def fleet(
    rates: Rates,
    *,
    hosts: Sequence[str],
    kernels: Sequence[str] = ("old", "new"),
    cells: Sequence[str] = ("cell",),
    loads: Callable[[str, str], int] = lambda host, kernel: 100,
    loads_per_save: int = 25,
    stop_after: int | None = None,
    rule_out: float = 0.01,
    seed: int = 1,
) -> Iterable[Tested]:
    """Yield what each host tested under each kernel.

    Args:
        rates: the loss rate of a host under a kernel.
        hosts: their names.
        kernels: their names.
        cells: their names.
        loads: the planned loads of a cell, of a host under a kernel.
        loads_per_save: most loads of a save.
        stop_after: losses after which a cell ends.
        rule_out: the loss rate that the plan wants ruled out.
        seed: of the draws.
    """
    random = np.random.default_rng(seed)
    for host in hosts:
        for kernel in kernels:
            rate = rates(host, kernel)
            drawn = draw_saves(
                rate if callable(rate) else alike(rate), planned=loads(host, kernel),
                loads_per_save=loads_per_save, stop_after=stop_after, size=len(cells),
                seed=int(random.integers(2**31)),
            )  # fmt: skip
            for place, cell in enumerate(cells):
                yield made(host, kernel, drawn.of(place), cell=cell, rule_out=rule_out)


def made(
    host: str, kernel: str, saves: Sequence[tuple[int, int]], *, cell: str = "cell",
    rule_out: float = 0.01, blind: str = "",
) -> Tested:  # fmt: skip
    """Return what a host tested, from the loads and the losses of its saves."""
    loads, lost = (sum(each) for each in zip(*saves, strict=True))
    return Tested(host, kernel, cell, loads, lost, 0, tuple(saves), rule_out, blind)


#: The releases of the kernels of made fleets.
RELEASES = {"old": "6.1.0-1-amd64", "new": "6.12.0-2-amd64", "newest": "7.0.0", "next": "7.1.0-rc1"}


def make_fleet(
    folder: Path, hosts: Sequence[str | dict[str, Any]],
    kernels: Sequence[str] = ("old", "new"), **more: Any,
) -> tuple[FleetFolder, list[Task]]:  # fmt: skip
    """Make the folder of a fleet without runs; return it and the fleet's tasks."""
    found = FleetFile.model_validate(
        {
            "engine": "ssh",
            "kernels": {name: {"release": RELEASES[name]} for name in kernels},
            "hosts": [{"name": each} if isinstance(each, str) else each for each in hosts],
        } | more
    )  # fmt: skip
    place = FleetFolder(folder)
    (folder / "runs").mkdir(parents=True)
    return place, tasks(found)


def make_task_run(
    folder: FleetFolder, task: Task, loads: Iterable[Load] | None = None, **how: Any
) -> Path:
    """Make the run of a task, by default one without a loss, on a machine of the host's own."""
    kernel = RELEASES.get(task.kernel, "6.6.6")
    return make_run(
        folder.run(task.id), exactly(0, 299) if loads is None else loads,
        **{"facts": other(kernel=kernel), "machine": f"machine of {task.host}",
           "seed": sum(map(ord, task.id))} | how,
    )  # fmt: skip
