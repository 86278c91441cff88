"""What `losttick attach` costs its guest and its user. Run alone on the machine: `tox -e bench`."""

import asyncio
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.host.local import open_host
from orchestrator.vm.config import Accel
from orchestrator.vm.tryout import why_not
from tests.support.command import losttick_command
from tests.support.own_qemus import OwnQemu, prepare, start_own
from tests.support.processes import wait_until

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]

ROUNDS = 7


@pytest.fixture
def own() -> Iterator[OwnQemu]:
    """A QEMU with 80 MiB of memory and two disks on tmpfs."""

    async def accelerator() -> Accel:
        async with open_host() as host:
            return Accel.TCG if await why_not(host, Accel.KVM) else Accel.KVM

    accel = asyncio.run(accelerator())
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        found = start_own(Path(place), accel)
        try:
            assert wait_until(lambda: found.answers, 20)
            prepare(found)
            yield found
        finally:
            found.process.kill()
            found.process.wait()


def attach(own: OwnQemu, *options: str) -> tuple[dict[str, object], float, float]:
    """Run the command; return what it printed, and the wall and the CPU time that it took."""
    before = os.times()
    done = subprocess.run(
        losttick_command("attach", "--qmp", own.qmp, "--json", *options), capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    after = os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])
    return json.loads(done.stdout), after.elapsed - before.elapsed, cpu


def bare_s(own: OwnQemu, line: str) -> float:
    """Return how long the guest stands still where nothing but the command is sent."""
    began = time.perf_counter()
    own.ask("stop")
    assert own.human(line) == ""
    own.ask("cont")
    return time.perf_counter() - began


def told(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} s ({min(values):.3f} to {max(values):.3f})"


def test_three_loads(own: OwnQemu) -> None:
    """Figures to reach: 0.15 s for a save, 0.35 s a load, 15 s for three loads."""
    saves, loads, walls, cpus = [], [], [], []
    bare: dict[str, list[float]] = {"savevm": [], "loadvm": []}
    for _ in range(ROUNDS):
        found, wall, cpu = attach(own, "--loads", "3", "--yes")
        trials = found["trials"]
        assert isinstance(trials, dict)
        saves += [each["still_ns"] / 1e9 for each in trials["saves"]]
        loads += [each["still_ns"] / 1e9 for each in trials["loads"]]
        walls.append(wall)
        cpus.append(cpu)
        for command, times in bare.items():
            times.append(bare_s(own, f"{command} bench"))
        own.human("delvm bench")
    print(
        f"\nthe guest stands still for {told(saves)} for a save, of which the commands alone take "
        f"{told(bare['savevm'])}, and for {told(loads)} for a load ({told(bare['loadvm'])}); "
        f"3 loads end to end: {told(walls)}, of which losttick uses {told(cpus)} of CPU time"
    )


def test_a_look(own: OwnQemu) -> None:
    """Figure to reach: 10 s."""
    took = [attach(own) for _ in range(ROUNDS)]
    print(f"\na look: {told([wall for _, wall, _ in took])}, of which losttick uses "
          f"{told([cpu for _, _, cpu in took])} of CPU time")  # fmt: skip
