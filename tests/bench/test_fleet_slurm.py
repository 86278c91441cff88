"""The time that a fleet through Slurm takes beyond its runs: 10 % or less was asked for."""

import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.fleet.executor import TaskState
from orchestrator.fleet.fleet_file import FleetFile
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.slurm.executor import SlurmExecutor
from orchestrator.fleet.task import tasks
from tests.support.journal import journal_dicts
from tests.support.slurm_cluster import NODES, Cluster, cluster

__all__ = ["cluster"]

pytestmark = pytest.mark.bench

PLAN = """
[axes]
accel = "tcg"
period_ms = 50
[limits]
trials = 300
rule_out = 0.02
"""


@pytest.fixture
def nothing_left_behind() -> str:
    """Nothing: the cluster ends what it started."""
    return ""


@pytest.mark.timeout(3600)
async def test_two_nodes_beside_two_plain_runs(cluster: Cluster, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    began = time.monotonic()
    plain = [_started(cluster, plan, tmp_path / node) for node in NODES]
    assert {each.wait() for each in plain} <= {0, 6}  # a busy host makes them inconclusive
    plain_s = time.monotonic() - began

    folder = FleetFolder(cluster.place / "fleet")
    folder.path.mkdir()
    folder.plan.write_text(PLAN)
    file = FleetFile.model_validate({
        "engine": "slurm", "hosts": [{"name": node} for node in NODES],
        "slurm": {"command": cluster.losttick},
    })  # fmt: skip
    began, began_at = time.monotonic(), datetime.now(UTC)
    states = {}
    async for seen in SlurmExecutor(file).run(tasks(file), {}, folder):
        states[seen.task] = seen.state
    fleet_s, ended_at = time.monotonic() - began, datetime.now(UTC)
    assert set(states.values()) == {TaskState.ENDED}
    print(
        f"\ntwo plain runs at once: {plain_s:.1f} s; the same as a fleet on two nodes: "
        f"{fleet_s:.1f} s, {100 * (fleet_s / plain_s - 1):+.1f} %"
    )
    times = [_times(folder.run(task)) for task in states]
    print(
        f"from the fleet's begin to the last run's first record: "
        f"{(max(first for first, _ in times) - began_at).total_seconds():.1f} s; from the last "
        f"run's verdict to the fleet's end: "
        f"{(ended_at - max(last for _, last in times)).total_seconds():.1f} s"
    )


def _times(run: Path) -> tuple[datetime, datetime]:
    """Return when the first and the last record of a run were written."""
    records = journal_dicts(run / "journal.jsonl")
    first, last = (datetime.fromisoformat(records[each]["at"]) for each in (0, -1))
    return first, last


def _started(cluster: Cluster, plan: Path, out: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [cluster.losttick, "run", "--plan", str(plan), "--out", str(out), "--exclusive"],
        env=cluster.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
