"""A fleet through a real Slurm: its controller, two nodes and munge, all on this computer."""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from orchestrator.fleet.executor import FleetError, Seen, TaskState
from orchestrator.fleet.fleet_file import FleetFile
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.slurm.executor import SlurmExecutor
from orchestrator.fleet.task import tasks
from orchestrator.journal.fold import read_state
from orchestrator.results.exit_code import ExitCode
from orchestrator.results.result import read_result
from tests.support.command import losttick_command, started
from tests.support.journal import journal_dicts
from tests.support.processes import wait_until
from tests.support.slurm_cluster import Cluster, cluster, running_cluster

__all__ = ["cluster"]

PLAN = """
controls = {}
[axes]
accel = "tcg"
period_ms = 100
[limits]
trials = {}
rule_out = 0.9
"""

QUICK, LONG = 5, 30

BOTH = [{"name": "node1"}, {"name": "node2"}]

HERE = os.uname().release


def made(
    cluster: Cluster, trials: int = QUICK, controls: int = 0, **fleet: object
) -> tuple[FleetFile, FleetFolder]:
    """Return a fleet and its folder. Without controls, a busy host's verdict is always the same."""
    words = {"engine": "slurm", "hosts": BOTH, "slurm": {"command": cluster.losttick}} | fleet
    folder = FleetFolder(cluster.place / "fleet")
    folder.path.mkdir()
    folder.plan.write_text(PLAN.format(controls, trials))
    return FleetFile.model_validate(words), folder


class Following:
    """An engine at work, and what it said."""

    def __init__(self, file: FleetFile, folder: FleetFolder) -> None:
        self.file, self.folder = file, folder
        self.seen: list[Seen] = []

    @property
    def known(self) -> dict[str, Seen]:
        return {each.task: each for each in self.seen}

    def said(self, words: str) -> bool:
        return any(words in each.why for each in self.seen)

    async def follow(self, known: Mapping[str, Seen] | None = None) -> "Following":
        engine = SlurmExecutor(self.file, poll_s=1)
        async for each in engine.run(tasks(self.file), known or {}, self.folder):
            self.seen.append(each)
        return self

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator["asyncio.Task[Following]"]:
        task = asyncio.create_task(self.follow())
        try:
            yield task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def trials(self, task: str) -> int:
        """Return the loads of a run so far."""
        journal = self.folder.run(task) / "journal.jsonl"
        return journal.read_bytes().count(b'{"record":"trial"') if journal.exists() else 0

    def check_ended(self, trials: int = QUICK, code: ExitCode = ExitCode.INCONCLUSIVE) -> None:
        """Check that all runs came to their ends, and that no load was counted twice."""
        for task in (each.id for each in tasks(self.file)):
            last = self.known[task]
            assert (last.state, last.exit_code) == (TaskState.ENDED, code), self.seen
            state = read_state(self.folder.run(task) / "journal.jsonl")
            assert state.finished
            assert sum(cell.trials for cell in state.cells.values()) == trials


async def until(condition: Callable[[], bool]) -> None:
    assert await asyncio.to_thread(wait_until, condition, 300)


@pytest.mark.alone
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("controls", "code"),
    [(0, ExitCode.INCONCLUSIVE), pytest.param(2, ExitCode.CLEAN, marks=pytest.mark.thorough)],
)
async def test_both_nodes_have_the_verdict_of_a_plain_run(
    cluster: Cluster, tmp_path: Path, controls: int, code: ExitCode
) -> None:
    file, folder = made(cluster, controls=controls)
    # This process ends before it can write down what Slurm called the first job.
    async for _ in SlurmExecutor(file, poll_s=1).run(tasks(file), {}, folder):
        break
    following = await Following(file, folder).follow()
    following.check_ended(code=code)
    assert cluster.jobs() == len(BOTH)
    assert {each.node for each in following.known.values()} == {"node1", "node2"}
    await asyncio.to_thread(run_plainly, cluster, folder.plan, tmp_path / "out", code)
    for task in following.known:
        assert verdicts(folder.run(task)) == verdicts(tmp_path / "out")
        assert str(folder.run(task)) in folder.output(task).read_text()
    # Later, nothing is submitted again.
    again = await Following(file, folder).follow(following.known)
    assert not again.seen
    assert cluster.jobs() == len(BOTH)


def run_plainly(cluster: Cluster, plan: Path, out: Path, code: ExitCode) -> None:
    done = subprocess.run(
        [cluster.losttick, "run", "--plan", str(plan), "--out", str(out)], capture_output=True,
        text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr


def verdicts(run: Path) -> list[tuple[str, str]]:
    """Return the cells of a run and their verdicts."""
    return [(each.cell.id, each.verdict) for each in read_result(run).cells]


@pytest.mark.thorough
@pytest.mark.timeout(900)
async def test_nodes_are_booted_into_each_kernel(cluster: Cluster) -> None:
    kernels = {name: {"release": HERE, "feature": name} for name in ("k1", "k2")}
    file, folder = made(cluster, kernels=kernels)
    following = await Following(file, folder).follow()
    following.check_ended()
    assert cluster.jobs() == 2 * len(BOTH)
    assert (cluster.reboots("node1"), cluster.reboots("node2")) == (1, 1)
    assert following.said("its node boots")


@pytest.mark.thorough
@pytest.mark.timeout(900)
async def test_what_dies_in_mid_run_comes_back_and_nothing_counts_twice(cluster: Cluster) -> None:
    file, folder = made(cluster, LONG)
    following = Following(file, folder)
    first, second = "node1@booted", "node2@booted"
    async with following.at_work() as work:
        await until(lambda: following.trials(first) > 5 and following.trials(second) > 5)
        cluster.crash("node1")
        cluster.kill("slurmctld")
        await until(lambda: following.said("Slurm's controller does not answer"))
        cluster.start("slurmctld")
        await until(lambda: cluster.jobs() > 0)
        cluster.kill("munged")
        await until(lambda: following.said("munge"))
        work.cancel()  # as if `fleet run` were killed
        with contextlib.suppress(asyncio.CancelledError):
            await work
    with pytest.raises(FleetError, match="munge"):
        await Following(file, folder).follow(following.known)
    cluster.start("munged")
    await until(lambda: cluster.jobs() > 0)
    resumed = await Following(file, folder).follow(following.known)
    resumed.check_ended(LONG)
    assert cluster.jobs() == len(BOTH)
    records = journal_dicts(folder.run(first) / "journal.jsonl")
    assert [each["record"] for each in records].count("resumed") == 1
    assert resumed.said("begun again")


@pytest.mark.thorough
@pytest.mark.timeout(900)
async def test_what_cannot_run_is_named_and_the_rest_goes_on(cluster: Cluster) -> None:
    kernels = {
        "here": {"release": HERE},
        "other": {"release": "6.5.0-other", "feature": "k1"},
        "absent": {"release": "6.5.1", "feature": "k9"},
    }
    hosts = [{"name": "node1"}, {"name": "node9", "lacks": ["other", "absent"]}]
    file, folder = made(cluster, hosts=hosts, kernels=kernels)
    wanted = [task for task in tasks(file) if not task.why_not]
    seen = {}
    async for each in SlurmExecutor(file, poll_s=1).run(wanted, {}, folder):
        seen[each.task] = each
    assert seen["node1@here"].exit_code == ExitCode.INCONCLUSIVE
    states = {task: each.state for task, each in seen.items() if task != "node1@here"}
    assert states == dict.fromkeys(("node1@other", "node1@absent", "node9@here"), TaskState.FAILED)
    assert "6.5.0-other" in seen["node1@other"].why
    assert seen["node1@other"].exit_code == ExitCode.HARNESS
    assert "Invalid feature specification" in seen["node1@absent"].why
    assert "Slurm has no node of this name" in seen["node9@here"].why
    assert not (folder.run("node1@other") / "journal.jsonl").exists()


@pytest.mark.thorough
@pytest.mark.timeout(900)
async def test_a_fleet_is_cancelled_and_resumed(cluster: Cluster) -> None:
    array = {"hosts": [], "constraints": [{"name": "any", "constraint": "k1", "nodes": 2}]}
    file, folder = made(cluster, 3 * LONG, **array)
    following = Following(file, folder)
    async with following.at_work():
        await until(lambda: following.trials("any~1@booted") > 3)
    engine = SlurmExecutor(file, poll_s=1)
    await engine.cancel(tasks(file), following.known, folder)
    await until(lambda: cluster.ask("squeue", "-h") == "")
    known = {each.task: each for each in await engine.look(tasks(file), following.known, folder)}
    assert not any(each.state is TaskState.ENDED for each in known.values()), known
    assert all(each.state.over for each in known.values()), known
    again = await Following(file, folder).follow(known)
    again.check_ended(3 * LONG)
    records = journal_dicts(folder.run("any~1@booted") / "journal.jsonl")
    assert [each["record"] for each in records].count("resumed") == 1
    assert not any(each.get("outcome") == "crashed" for each in records)


@pytest.mark.thorough
@pytest.mark.timeout(900)
async def test_what_slurm_forgot_is_known_from_the_journal(
    nothing_left_behind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_cluster(min_job_age=2) as cluster:
        monkeypatch.setenv("SLURM_CONF", cluster.env["SLURM_CONF"])
        monkeypatch.setenv("PYTHONPATH", cluster.env["PYTHONPATH"])
        file, folder = made(cluster)
        async for each in SlurmExecutor(file, poll_s=1).run(tasks(file), {}, folder):
            if each.task == "node2@booted":
                break
        await until(lambda: cluster.jobs() == 2)
        await until(lambda: cluster.jobs() == 0)
        following = await Following(file, folder).follow()
        following.check_ended()
        assert cluster.jobs() == 0


@pytest.mark.thorough
@pytest.mark.timeout(900)
def test_an_unfit_node_drains_itself(nothing_left_behind: str, tmp_path: Path) -> None:
    run = tmp_path / "losttick-qemu-left"
    run.mkdir()
    with running_cluster(health=True) as cluster:
        left = subprocess.Popen(["sleep", "1000"], cwd=run)
        try:
            assert wait_until(lambda: set(cluster.ask(*STATES).split()) == {"drained"}, 300)
            reason = cluster.ask("sinfo", "-h", "-N", "-n", "node1", "-o", "%E")
            assert f"processes left from a run that ended: {left.pid}" in reason
        finally:
            left.kill()
            left.wait()


STATES = ("sinfo", "-h", "-N", "-o", "%T")


@pytest.mark.thorough
@pytest.mark.timeout(900)
def test_a_killed_fleet_is_resumed_by_another_process(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN.format(0, LONG))
    (tmp_path / "fleet.toml").write_text(
        'engine = "slurm"\nplan = "plan.toml"\nout = "out"\n'
        '[[hosts]]\nname = "node1"\n[[hosts]]\nname = "node2"\n'
        f'[slurm]\ncommand = "{cluster.losttick}"\n'
    )
    with started("fleet", "run", "fleet.toml", cwd=tmp_path) as first:
        assert wait_until(lambda: len(list(tmp_path.glob("out/*/runs/*/journal.jsonl"))) == 2, 300)
        first.kill()
    done = subprocess.run(
        losttick_command("fleet", "resume", "fleet.toml"), cwd=tmp_path, capture_output=True,
        text=True, timeout=800, check=False,
    )  # fmt: skip
    assert done.returncode == ExitCode.INCONCLUSIVE, done.stderr  # there were no controls
    assert cluster.jobs() == len(BOTH)
    for journal in tmp_path.glob("out/*/runs/*/journal.jsonl"):
        state = read_state(journal)
        assert state.finished
        assert sum(cell.trials for cell in state.cells.values()) == LONG
