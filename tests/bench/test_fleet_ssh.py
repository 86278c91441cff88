"""The cost of a fleet through SSH beside its runs. Run alone on the machine: `tox -e bench`.

Two hosts on one computer would share its CPUs, and the sole run that it allows. The runs of a fleet
are therefore compared with plain ones on one host, in turns. What is the fleet's own is also told
in CPU time, which is the same on a busy computer.
"""

import asyncio
import os
import resource
import statistics
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.fleet.executor import TaskState
from orchestrator.fleet.fleet_file import FleetFile
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.ssh.executor import SshExecutor
from orchestrator.fleet.task import tasks
from orchestrator.results.exit_code import ExitCode
from tests.support.places import ROOT
from tests.support.ssh_hosts import MARK, SshFleet, ssh_fleet

__all__ = ["ssh_fleet"]

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

ROUNDS = int(os.environ.get("LOSTTICK_BENCH_ROUNDS", "3"))

PLAN = """
seed = 7
[axes]
accel = "tcg"
period_ms = "100"
[limits]
trials = 100
rule_out = 0.05
"""


def cpu_s() -> float:
    """Return the CPU time of this process and of the children that it has waited for."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in both)


def fleet_run(file: FleetFile, folder: FleetFolder) -> float:
    """Run a fleet to its end; return the seconds."""

    async def follow() -> list[TaskState]:
        engine = SshExecutor(file, folder.path)
        return [seen.state async for seen in engine.run(tasks(file), {}, folder)]

    began = time.monotonic()
    states = asyncio.run(follow())
    assert states[-1] is TaskState.ENDED
    return time.monotonic() - began


def test_the_fleets_own_time(
    ssh_fleet: Callable[..., SshFleet], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = ssh_fleet("a")
    host, plan = fleet.hosts[0], fleet.folder(PLAN).plan
    plain, through, own = [], [], []
    for number in range(ROUNDS):
        env = {**os.environ, "PYTHONPATH": str(ROOT), MARK: str(host.path)}
        began = time.monotonic()
        done = subprocess.run(
            [host.bin / "losttick", "run", "--plan", plan, "--out", tmp_path / f"p{number}"],
            check=False, capture_output=True, env=env,
        )  # fmt: skip
        assert done.returncode in (ExitCode.CLEAN, ExitCode.INCONCLUSIVE), done.stderr
        plain.append(time.monotonic() - began)
        before = cpu_s()
        through.append(fleet_run(fleet.file(), fleet.folder(PLAN, f"f{number}")))
        host.stop()  # so that the server's children are counted
        own.append(cpu_s() - before)
        host.start()
    usual, by_fleet, cpu = map(statistics.median, (plain, through, own))
    with capsys.disabled():
        print(
            f"\nplain run {usual:.1f} s, by the fleet {by_fleet:.1f} s "
            f"({100 * (by_fleet / usual - 1):+.1f} %); the fleet's own CPU time, its server's "
            f"included: {cpu:.2f} s ({100 * cpu / usual:.1f} % of the run); "
            f"{ROUNDS} rounds in turns: {plain} {through} {own}"
        )


def test_installing_from_wheels(
    ssh_fleet: Callable[..., SshFleet], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """30 MB in two wheels, one of which is a losttick that ends at once."""
    fleet, wheels = ssh_fleet("a"), tmp_path / "wheels"
    wheels.mkdir()
    for name, script in (("losttick", f"exec {sys.executable} -P -m orchestrator"), ("other", "")):
        at = f"{name}-1"
        with zipfile.ZipFile(wheels / f"{at}-py3-none-any.whl", "w") as file:
            program = zipfile.ZipInfo(f"{at}.data/scripts/{name}")
            program.external_attr = 0o100755 << 16
            file.writestr(program, f'#!/bin/sh\n{script} "$@"\n')
            file.writestr(f"{at}.data/data/share/{name}/ballast", os.urandom(15_000_000))
            file.writestr(f"{at}.dist-info/METADATA", f"Name: {name}\nVersion: 1\n")
            tags = "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            file.writestr(f"{at}.dist-info/WHEEL", tags)
            file.writestr(f"{at}.dist-info/RECORD", "")
    plan = PLAN.replace("trials = 100", "trials = 1").replace("0.05", "0.99")
    file = fleet.file(ssh={"wheels": str(wheels)})
    first = fleet_run(file, fleet.folder(plan, "first"))
    second = fleet_run(file, fleet.folder(plan, "second"))
    with capsys.disabled():
        print(f"\nthe first run, with an installation: {first:.1f} s; the second: {second:.1f} s")
