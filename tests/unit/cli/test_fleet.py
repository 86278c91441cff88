"""`losttick fleet`, with an engine that does what the test says."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cli.fleet import going
from orchestrator.fleet.begin import find, reopen
from orchestrator.fleet.executor import Seen, TaskState
from orchestrator.fleet.load import schema_text
from orchestrator.fleet.log import FleetWriter
from tests.support.command_here import losttick
from tests.support.fake_fleet import FLEET, TASKS, FakeEngine, fleet_file
from tests.support.places import ROOT
from tests.support.processes import wait_until

HOSTILE = "\x1b[31m[bold]no\nroom"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    monkeypatch.chdir(tmp_path)
    fleet_file(tmp_path)
    made = FakeEngine()
    monkeypatch.setattr(going, "open_engine", lambda *_, **__: made)
    return made


def test_a_fleet_from_its_beginning_to_its_end(engine: FakeEngine) -> None:
    engine.ends = {"b@old": Seen("b@old", TaskState.FAILED, HOSTILE)}
    done = losttick("fleet", "run", "fleet.toml", "--out", "out", columns=200)
    assert done.returncode == 4
    assert "4 tasks: 2 ended, 1 failed, 1 can't be run." in done.stdout
    assert "b does not have the kernel new" in done.stdout
    assert "losttick fleet collect" in done.stdout
    assert "a@old: ended on a with exit code 3" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    engine.ends = {}
    again = losttick("fleet", "resume", "out", "--json")
    assert again.returncode == 3
    said = json.loads(again.stdout)
    assert said["states"] == {"ended": 3}
    assert engine.began == [*TASKS, "b@old"]
    busy = losttick("fleet", "run", "fleet.toml", "--out", "out")
    assert busy.returncode == 2
    assert "losttick fleet resume" in busy.stderr


def test_one_kernel_of_a_fleet(engine: FakeEngine) -> None:
    engine.ends = {"a@new": Seen("a@new", TaskState.FAILED, "no such entry")}
    unknown = losttick("fleet", "run", "fleet.toml", "--out", "out", "--boot-kernel=newer")
    assert (unknown.returncode, Path("out").exists()) == (2, False)
    assert "no kernel 'newer'. It has: old, new" in unknown.stderr.replace("\n", " ")
    done = losttick("fleet", "run", "fleet.toml", "--out", "out", "--boot-kernel=old")
    assert engine.began == [each for each in TASKS if each.endswith("@old")]
    assert done.returncode == 3, "of those that were asked for, and not 6 for the other"
    assert losttick("fleet", "resume", "out", "--boot-kernel=new").returncode == 4
    assert sorted(engine.began) == sorted(TASKS)


def test_an_engine_that_cannot_be_reached(engine: FakeEngine) -> None:
    engine.fails_after = 1
    done = losttick("fleet", "run", "fleet.toml")
    assert done.returncode == 4
    assert "does not answer" in done.stderr
    assert "Runs that have begun go on. Follow them with `losttick fleet resume" in done.stderr
    status = losttick("fleet", "status", "fleet.toml")
    assert status.returncode == 4
    assert "1 running" in status.stdout
    assert "The table is what was known before." in status.stderr
    engine.fails_after = None
    assert "looked at" in losttick("fleet", "status", "fleet.toml").stdout
    cancelled = losttick("fleet", "cancel", "fleet.toml", "--json")
    assert cancelled.returncode == 0
    assert json.loads(cancelled.stdout)["states"] == {"cancelled": 3}
    assert engine.cancelled == TASKS


def test_a_fleet_in_a_shared_folder_can_be_asked_and_ended(engine: FakeEngine) -> None:
    engine.fails_after = 1
    losttick("fleet", "run", "fleet.toml", "--out", "out", "--shared-out")
    engine.fails_after = None
    Path("out").chmod(0o777)
    for command in ("status", "cancel"):
        assert losttick("fleet", command, "out").returncode == 2
        done = losttick("fleet", command, "out", "--shared-out")
        assert done.returncode == 0, done.stderr
    assert engine.cancelled == TASKS


def test_a_fleet_that_another_losttick_follows(engine: FakeEngine) -> None:
    engine.fails_after = 1
    losttick("fleet", "run", "fleet.toml", "--out", "out")
    engine.fails_after = None
    log = Path("out/fleet.jsonl")
    before = log.read_bytes()
    with FleetWriter(reopen(find(Path("out")))[0].folder):
        refused = losttick("fleet", "resume", "out")
        assert refused.returncode == 2
        assert "another losttick goes on with it" in refused.stderr
        assert "3 running" in losttick("fleet", "status", "out").stdout
        assert losttick("fleet", "cancel", "out").returncode == 0
    assert engine.cancelled == TASKS
    assert log.read_bytes() == before


DRIVER = """
import asyncio, sys
from pathlib import Path
from orchestrator.cli import main
from orchestrator.cli.fleet import going
from tests.support.fake_fleet import FakeEngine
going.open_engine = lambda *_, **__: FakeEngine(hangs_after=3)
sys.argv = ["losttick", "fleet", "run", "fleet.toml", "--out", "out"]
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_the_runs_alone(engine: FakeEngine, number: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER], stderr=subprocess.PIPE, text=True, cwd=".",
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a runner may ignore it
    ) as driver:  # fmt: skip
        try:
            log = Path("out/fleet.jsonl")
            assert wait_until(lambda: log.exists() and log.read_text().count("\n") == 4, 60)
            driver.send_signal(number)
            _, error = driver.communicate(timeout=30)
        finally:
            driver.kill()
    if number != signal.SIGKILL:
        assert driver.returncode == 130
        assert "1 running, 1 ended" in error
        assert "losttick fleet cancel" in error
    engine.began = TASKS[:2]
    assert losttick("fleet", "resume", "out").returncode == 3
    assert engine.began == TASKS


def test_a_preview(engine: FakeEngine) -> None:
    done = losttick("fleet", "plan", "fleet.toml", columns=150)
    assert done.returncode == 3
    assert "b does not have the kernel new" in done.stdout
    assert "3 runs of 1 cell on 2 hosts" in done.stdout
    assert "3 runs, such as a@old, need hosts that run the kernel already" in done.stdout
    said = json.loads(losttick("fleet", "plan", "fleet.toml", "--json").stdout)
    assert [task["why_not"] for host in said["hosts"] for task in host["tasks"]] == [
        None, None, None, "b does not have the kernel new",
    ]  # fmt: skip
    scripts = losttick("fleet", "plan", "fleet.toml", "--scripts", columns=20).stdout
    assert scripts.count("--expect-kernel 6.1.0-1") == 2
    Path("slurm.toml").write_text(FLEET.replace('"ssh"', '"slurm"'))
    scripts = losttick("fleet", "plan", "slurm.toml", "--scripts").stdout
    assert scripts.count("#SBATCH --exclusive") == 3
    bad = losttick("fleet", "plan", "plan.toml")
    assert bad.returncode == 2
    assert "reading the fleet file plan.toml" in bad.stderr


def test_a_preview_knows_what_a_host_skipped_before(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator.cli.fleet import plan

    cell = json.loads(losttick("fleet", "plan", "fleet.toml", "--json").stdout)["cells"][0]["id"]
    monkeypatch.setattr(
        plan,
        "_skipped",
        lambda *_: [("a", 7, cell, HOSTILE), ("c", 8, cell, ""), ("a", 7, "x", "")],
    )
    said = losttick("fleet", "plan", "fleet.toml", columns=300).stdout
    assert "(run 7 skipped it: \\x1b[31m[bold]no\\nroom)" in said
    (host, _) = json.loads(losttick("fleet", "plan", "fleet.toml", "--json").stdout)["hosts"]
    assert host["skipped_before"] == [{"run": 7, "cell": cell, "why": HOSTILE}]


def test_the_schema() -> None:
    assert losttick("fleet", "schema").stdout == schema_text()


def test_a_fleet_that_is_not_there(engine: FakeEngine) -> None:
    for command in ("status", "resume", "cancel"):
        done = losttick("fleet", command, "none")
        assert done.returncode == 2
        assert "No such file" in done.stderr
    done = losttick("fleet", "status", "fleet.toml")
    assert "there is none in" in done.stderr
