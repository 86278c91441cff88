"""The cost of `losttick fleet collect`. Run alone on the machine: `tox -e bench`.

LOSTTICK_BENCH_HOSTS is the number of hosts.
"""

import os
import resource
import time
from collections import Counter
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
AXES = {
    "mode": ["one-shot", "periodic", "tsc-deadline"],
    "apic": ["xapic", "x2apic"],
    "method": ["hmp", "jobs"],
    "wait": ["busy", "halt"],
}
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
    began, used = time.monotonic(), cpu_of_all()
    read_at = own_at = 0.0

    def seen(done: int) -> None:
        nonlocal read_at, own_at
        read_at, own_at = time.monotonic(), time.process_time()

    found = collect(folder, tasks, history=history, seen=seen)
    answered, own = time.monotonic(), time.process_time() - own_at
    trials = HOSTS * len(RELEASES) * CELLS * LOADS
    assert found.trials == trials
    reading = cpu_of_all() - used - own
    print(f"\nfleet collect: {HOSTS:,} hosts x {len(RELEASES)} kernels x {CELLS} cells x {LOADS} "
          f"loads: {trials / (read_at - began):,.0f} trials/s into the history, "
          f"{trials / reading:,.0f} a second of the CPU (asked: 50,000)")  # fmt: skip
    own_at = time.process_time()
    write_pages(found, 20, print)
    collected_data(found)
    print(f"answer {answered - read_at:.1f} s, of the CPU {own:.1f} s; pages and data "
          f"{time.monotonic() - answered:.1f} s, of the CPU {time.process_time() - own_at:.1f} s "
          "(asked: 60 together)")  # fmt: skip
    largest = max(resource.getrusage(who).ru_maxrss for who in
                  (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))  # fmt: skip
    print(f"memory of the largest process: {largest >> 10} MiB (asked: 500)")
    said = Counter((cell.second, str(cell.answer)) for cell in found.answer.cells)
    print(dict(said), [bad.host for bad in found.answer.bad][:3])


def cpu_of_all() -> float:
    """Return the seconds of the CPU that this process and its ended children have used."""
    return time.process_time() + cpu_s()
