"""`losttick fleet` with a real SSH server and a real QEMU; the driver is killed, the run is not."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.journal.fold import read_state
from tests.support.command import losttick_command, started
from tests.support.processes import wait_until
from tests.support.ssh_hosts import SshFleet, ssh_fleet

__all__ = ["ssh_fleet"]

LOADS = 12

PLAN = f"""
[axes]
accel = "tcg"
period_ms = 100
[limits]
trials = {LOADS}
rule_out = 0.9
"""


def losttick(folder: Path, *args: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        losttick_command(*args), cwd=folder, capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip


@pytest.mark.thorough
@pytest.mark.timeout(600)
def test_a_fleet_whose_driver_is_killed(tmp_path: Path, ssh_fleet: Callable[..., SshFleet]) -> None:
    fleet = ssh_fleet("a")
    (host,) = fleet.hosts
    (tmp_path / "plan.toml").write_text(PLAN)
    (tmp_path / "fleet.toml").write_text(
        'engine = "ssh"\nplan = "plan.toml"\n'
        f'[ssh]\nknown_hosts = "{fleet.known_hosts}"\n'
        f'[kernels.here]\nrelease = "{os.uname().release}"\n'
        f'[[hosts]]\nname = "a"\naddress = "127.0.0.1"\nport = {host.port}\n'
    )
    assert losttick(tmp_path, "fleet", "plan", "fleet.toml").returncode == 0
    log = tmp_path / "out" / "fleet.jsonl"
    with started("fleet", "run", "fleet.toml", "--out", "out", cwd=tmp_path) as driver:
        assert wait_until(lambda: log.exists() and b'"running"' in log.read_bytes(), 120)
        assert losttick(tmp_path, "fleet", "resume", "out").returncode == 2  # one drives it already
        driver.kill()
        driver.wait(timeout=20)
    assert host.runs()
    status = losttick(tmp_path, "fleet", "status", "out", "--json")
    assert status.returncode == 0, status.stderr
    (task,) = json.loads(status.stdout)["tasks"]
    assert (task["task"], task["state"]) in [("a@here", "running"), ("a@here", "ended")]
    done = losttick(tmp_path, "fleet", "resume", "out", "--json")
    assert done.returncode == 0, done.stderr
    (task,) = json.loads(done.stdout)["tasks"]
    assert (task["state"], task["exit_code"]) == ("ended", 0)
    state = read_state(tmp_path / "out" / "runs" / "a@here" / "journal.jsonl")
    assert state.finished
    assert sum(cell.trials for cell in state.cells.values()) == LOADS
    collected = losttick(tmp_path, "fleet", "collect", "out", "--no-history", "--no-html", "--json")
    assert collected.returncode == 0, collected.stderr
    assert "a@here" in collected.stdout
