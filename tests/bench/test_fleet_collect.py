"""What `losttick fleet collect` costs. Run alone on the machine: `tox -e bench`.

LOSTTICK_BENCH_HOSTS is the number of hosts.
"""

import os
import resource
import time
from pathlib import Path

import pytest

from orchestrator.fleet.collect import collect
from orchestrator.fleet.collected_data import collected_data
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.page import write_pages
from orchestrator.fleet.task import Task
from orchestrator.journal.file import JOURNAL
from tests.support.cpu_time import cpu_s
from tests.support.made_fleets import RELEASES, make_fleet
from tests.support.made_history import opened
from tests.support.made_runs import losing, make_run, other

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

HOSTS = int(os.environ.get("LOSTTICK_BENCH_HOSTS", "1000"))

#: 24 cells of 20 loads.
AXES = {"mode": ["one-shot", "periodic", "tsc-deadline"], "apic": ["xapic", "x2apic"],
        "vcpus": [1, 2], "wait": ["busy", "halt"]}  # fmt: skip
CELLS, LOADS = 24, 20

#: Journals that are made of each kernel; hosts have copies of them with machines of their own.
MADE = 8


def fill(folder: FleetFolder, tasks: list[Task], place: Path) -> None:
    """Write the run of each task. The newest kernel loses 2 % of its loads."""
    journals: dict[tuple[str, int], tuple[bytes, bytes]] = {}
    for number, task in enumerate(tasks):
        key = (task.kernel, number // len(RELEASES) % MADE)
        if key not in journals:
            rate = 0.02 if task.kernel == "newest" else 0.0
            made = make_run(
                place / f"{key[0]}{key[1]}", losing(rate, LOADS, seed=key[1]), axes=AXES,
                trials=LOADS, facts=other(kernel=RELEASES[task.kernel]), seed=number,
            )  # fmt: skip
            head, _, rest = (made / JOURNAL).read_bytes().partition(b"\n")
            journals[key] = (head, rest)
        head, rest = journals[key]
        run = folder.run(task.id)
        run.mkdir()
        head = head.replace(b'"machine":"machine"', f'"machine":"{task.host}"'.encode())
        (run / JOURNAL).write_bytes(head + b"\n" + rest)


def test_collect(tmp_path: Path) -> None:
    folder, tasks = make_fleet(
        tmp_path / "f", [f"node{number}" for number in range(HOSTS)], list(RELEASES)
    )
    fill(folder, tasks, tmp_path)
    history = opened(tmp_path)
    read_at: list[float] = [0.0]
    began, used = time.monotonic(), cpu_s()

    def seen(done: int) -> None:
        read_at[0] = time.monotonic()

    found = collect(folder, tasks, history=history, seen=seen)
    answered = time.monotonic()
    took, trials = read_at[0] - began, HOSTS * len(RELEASES) * CELLS * LOADS
    assert found.trials == trials
    print(f"\nfleet collect: {HOSTS:,} hosts x {len(RELEASES)} kernels x {CELLS} cells x {LOADS} "
          f"loads: {trials / took:,.0f} trials/s into the history (asked: 50,000)")  # fmt: skip
    write_pages(found, 20, print)
    collected_data(found)
    print(f"answer {answered - read_at[0]:.1f} s, pages {time.monotonic() - answered:.1f} s "
          f"(asked: 60 together); of the CPU {cpu_s() - used:.1f} s in all")  # fmt: skip
    largest = max(resource.getrusage(who).ru_maxrss for who in
                  (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))  # fmt: skip
    print(f"memory of the largest process: {largest >> 10} MiB (asked: 500)")
    said = {cell.second: cell.answer for cell in found.answer.cells}
    print(said, [bad.host for bad in found.answer.bad][:3])
